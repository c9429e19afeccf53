"""The process that does what one call of a tool asks for."""

from vlbench.cli.tools import TOOLS
from vlbench.cli.tools.call import Asked, Ended, Said
from vlbench.process.parent import Parent, serve


def run(parent: Parent) -> None:
    """Raises UsageError for what cannot be had as asked."""
    asked = next(parent.hear(Asked))
    tool = TOOLS[asked.tool]
    found = tool.work(say=lambda line: parent.say(Said(line=line)), **asked.arguments)
    parent.say(Ended(found=found))


if __name__ == "__main__":
    serve(run)
