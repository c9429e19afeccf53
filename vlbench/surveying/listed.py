"""The list of towers that a person accepted: `atlas.toml` beside this file, or one of their own.

[transformers.towers.qwen2_vl]
class = "transformers.models.qwen2_vl.modeling_qwen2_vl:Qwen2VisionTransformerPretrainedModel"
config = "Qwen2VLVisionConfig"     # a name in that module; settings = {...} differ from its defaults
form = "patches"                   # or inputs = {argument = "..."}, see `vlbench.surveying.forms`
"""

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from pydantic import AliasChoices, Field, ValidationError, model_validator

from vlbench.errors import UsageError, check_choice
from vlbench.process.messages import Message
from vlbench.record.atlas import LISTED
from vlbench.surveying.forms import FORMS, check_input
from vlbench.untrusted.files import first_fault, read_toml

LACKS = "this release has no"
"""How the reason begins why a tower is not counted that a release does not have."""
LIST = Path(__file__).with_name("atlas.toml")


class Listed(Message):
    """A tower as it is listed."""

    name: str = ""
    tower: str = Field(validation_alias=AliasChoices("class", "tower"), pattern=r"^[A-Za-z_][\w.]*:\w+$")
    config: str = Field(pattern=r"^[A-Za-z_]\w*$")
    """The name of its class in the module of the tower."""
    settings: dict[str, Any] = Field(default_factory=dict)
    """What is otherwise than the defaults of the config."""
    released: str = ""
    """The checkpoint that has these settings."""
    form: str = ""
    """One of `FORMS`, or "" where `inputs` says it; None of both is tried in the order of `FORMS`."""
    inputs: dict[str, str] = Field(default_factory=dict)
    one_picture: bool = False
    """Does a call take pictures of one size alone? Then it is called with the first."""

    @model_validator(mode="after")
    def _check(self) -> "Listed":
        if self.form and self.form not in FORMS:
            raise ValueError(f"form {self.form!r} is not one of {', '.join(FORMS)}")
        if self.form and self.inputs:
            raise ValueError("form and inputs both say what it is fed; leave one of them out")
        for name, text in self.inputs.items():
            check_input(name, text)
        return self


class ListedPackage(Message):
    """The towers of a package."""

    towers: dict[str, Listed] = Field(default_factory=dict)
    aliases: dict[str, str] = Field(default_factory=dict)
    left_out: dict[str, str] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _check(self) -> "ListedPackage":
        for name, tower in self.towers.items():
            if tower.name not in ("", name):
                raise ValueError(f"towers.{name} says that its name is {tower.name!r}; leave name out")
            if name in self.left_out:
                raise ValueError(f"{name} is in towers and in left_out; leave one of them out")
        for name, other in self.aliases.items():
            if other not in self.towers:
                raise ValueError(f"aliases.{name} is {other!r}, which is not in towers")
        if silent := [name for name, reason in self.left_out.items() if not reason.strip()]:
            raise ValueError(f"left_out.{silent[0]} has no reason")
        return self

    def only(self, names: Collection[str]) -> list[Listed]:
        """Those called so, all without names. Raises UsageError for a name that is not listed."""
        for name in names:
            if reason := self.left_out.get(name):
                raise UsageError(f"--only {name}: it is left out of the list: {reason}")
            check_choice("--only", self.aliases.get(name, name), self.towers)
        wanted = [self.aliases.get(name, name) for name in names]
        towers = {name: each for name, each in self.towers.items() if not names or name in wanted}
        return [each.model_copy(update={"name": name}) for name, each in towers.items()]


def listed_package(package: str, path: Path | None = None) -> ListedPackage:
    """What is listed of a package. Raises UsageError for a file that is no list, or does not have it."""
    path = path or LIST
    content = read_toml(path, LISTED)
    entries = content.get(package)
    if not isinstance(entries, Mapping) or not entries.get("towers"):
        there = ", ".join(content) or "none"
        raise UsageError(f"{path}: it lists no towers of {package!r}; it has {there}; name one, or `--discover` some")
    try:
        found = ListedPackage.model_validate(entries)
    except ValidationError as error:
        raise UsageError(f"{path}: {package}.{first_fault(error)}; mend it") from None
    for name, tower in found.towers.items():
        if not tower.tower.startswith((f"{package}.", f"{package}:")):
            raise UsageError(f"{path}: {package}.towers.{name}.class: {tower.tower} is not in {package}; mend it")
    return found


def as_toml(package: str, tower: Listed) -> str:
    """The lines of the list for one tower."""
    lines = [f"[{package}.towers.{tower.name}]", f'class = "{tower.tower}"', f'config = "{tower.config}"']
    if tower.form:
        lines.append(f'form = "{tower.form}"')
    else:
        lines.append(f"inputs = {{ {', '.join(f'{name} = {text!r}' for name, text in tower.inputs.items())} }}")
    return "\n".join(lines)
