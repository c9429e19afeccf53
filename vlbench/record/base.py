"""What every kept record is: frozen, strict about unknown fields, and described by the docstrings of its fields."""

from pydantic import BaseModel, ConfigDict


class Record(BaseModel):
    """A part of what is kept: frozen, and strict about unknown fields."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True, ser_json_inf_nan="strings")
