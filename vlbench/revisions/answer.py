"""What an interpreter says of itself, asked by `vlbench.revisions.environments`. It is run as a file.

`FILE MARK LIBRARIES NEEDED MODULE...`: its version, the file of vlbench that it would run, the versions of LIBRARIES,
which of NEEDED it lacks and, where it lacks none, whether every MODULE can be imported. So that a Python which is too
old for vlbench answers as well, there is nothing here that it could not read.
"""

import os
import sys

OLDEST = 0x030B0000
"""The oldest Python that can do more, as `sys.hexversion` has it."""

if __name__ == "__main__":
    here = os.path.dirname(os.path.realpath(__file__))
    sys.path[:] = [path for path in sys.path if os.path.realpath(path or ".") != here]
    mark, libraries = sys.argv[1:3]
    sys.stdout.write("\n" + mark + ".".join(map(str, sys.version_info[:3])) + "\n")
    sys.stdout.flush()
    if sys.hexversion >= OLDEST:
        import json
        from importlib import import_module, metadata, util

        found = util.find_spec("vlbench")
        code = os.path.realpath(found.origin) if found and found.origin else None
        lacks = [name for name in sys.argv[3].split(",") if util.find_spec(name) is None]
        told = {"code": code, "lacks": lacks}  # type: dict[str, object]
        try:
            for name in () if lacks else sys.argv[4:]:
                import_module(name)
            if not lacks:
                import torch

                told["gpu"] = torch.cuda.is_available()
        except Exception as error:
            told["failed"] = type(error).__name__ + ": " + (str(error).strip().splitlines() or ["no message"])[0][:1000]
        versions = {}
        for name in libraries.split(","):
            try:
                versions[name] = metadata.version(name)
            except metadata.PackageNotFoundError:
                continue
        told["versions"] = versions
        sys.stdout.write("\n" + mark + json.dumps(told) + "\n")
        sys.stdout.flush()
        os._exit(0)  # torch takes a second to be taken apart
