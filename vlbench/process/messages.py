"""What every process of ours can say, whatever it does. Messages travel as JSON, a line each."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict


class Message(BaseModel):
    """One line of a conversation. What a worker says has a literal field `event`, by which its kind is told."""

    model_config = ConfigDict(extra="forbid", frozen=True, ser_json_inf_nan="strings")


class Refused(Message):
    """The work cannot be done as asked; the message is for the user."""

    event: Literal["refused"] = "refused"
    message: str
