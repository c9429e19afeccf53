"""One sentence for a file that does not fit its schema: where, what and how to mend it."""

from __future__ import annotations

from difflib import get_close_matches

from pydantic import BaseModel, ValidationError

from vlbench.workload.scenario import Item, Mix
from vlbench.workload.sweep import dotted

NESTED: dict[str | int, type[BaseModel]] = {"item": Item, "mix": Mix}
HEADERS = {"item": "[[item]]", "mix": "[mix]"}


def complaint(error: ValidationError, schema: type[BaseModel]) -> str:
    """The first fault that `schema` found, as "field: what is wrong and what to do"."""
    first = error.errors()[0]
    where = first["loc"]
    field = dotted(where)
    if first["type"] == "value_error":
        message = str(first["ctx"]["error"])
        return f"{field}: {message}" if field else message
    if not field:
        return f"it has to hold a table with the fields {', '.join(schema.model_fields)}"
    if field in HEADERS:
        return f"{field} has to be a table; write it as {HEADERS[field]}"
    fields = NESTED.get(where[0], schema).model_fields if len(where) > 1 else schema.model_fields
    name = str(where[-1])
    if first["type"] == "extra_forbidden":
        close = get_close_matches(name, fields, n=1)
        hint = f"did you mean {close[0]!r}?" if close else "remove it"
        return f"{field} is not a field; {hint} (fields here are {', '.join(fields)})"
    if first["type"] == "missing":
        return f"{field} is missing; add it: {fields[name].description}"
    about = fields.get(name) or schema.model_fields[str(where[0])]
    return f"{field}: {first['msg'][0].lower()}{first['msg'][1:]}, not {first['input']!r}: {about.description}"
