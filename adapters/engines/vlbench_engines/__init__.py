"""Vision towers of serving engines, built alone: `vlbench run --tower vllm:MODEL`. vlbench imports none of it."""

from importlib.metadata import PackageNotFoundError, version

import vlbench


def require(package: str, release: str) -> str:
    """Package and version. Raises UsageError where it is not installed, or of another release than `release`."""
    try:
        found = version(package)
    except PackageNotFoundError:
        raise vlbench.UsageError(f"{package} is not installed; pip install {package}=={release}.0") from None
    if ".".join(found.split(".")[:2]) != release:
        raise vlbench.UsageError(
            f"this is the adapter for {package} {release}, and {found} is installed; pip install {package}=={release}.0"
        )
    return f"{package} {found}"
