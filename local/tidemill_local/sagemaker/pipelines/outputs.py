"""The typed outputs of Lambda and Callback steps."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

MOST_OUTPUTS = 50
_LONGEST_VALUE = 1024  # characters, by the API
OUTPUT_TYPES = ("String", "Integer", "Boolean", "Float")

Scalar = str | int | float | bool


class OutputError(ValueError):
    """What came back is not what the step's OutputParameters promise."""


@dataclass(frozen=True)
class Output:
    """One entry of a step's OutputParameters."""

    name: str
    type: str

    def read(self, text: str) -> Scalar:
        """
        Turn a text into the output's type.

        Raises:
            OutputError: It is no such value.
        """
        try:
            match self.type:
                case "Integer":
                    return int(text)
                case "Float":
                    return float(text)
                case "Boolean":
                    return {"true": True, "false": False}[text.lower()]
        except (ValueError, KeyError):
            raise OutputError(
                f"Output parameter [{self.name}] has value [{text}], "
                f"which is not of type {self.type}."
            ) from None
        return text


def read_outputs(outputs: Sequence[Output], given: Mapping[str, str]) -> dict[str, Scalar]:
    """
    Return the typed value of every declared output; what was not declared is left out.

    Raises:
        OutputError: One is missing, of another type, or longer than 1,024 characters.
    """
    values: dict[str, Scalar] = {}
    for output in outputs:
        if output.name not in given:
            raise OutputError(
                f"Output parameter [{output.name}] is missing; "
                f"given: {', '.join(sorted(given)) or 'none'}."
            )
        text = given[output.name]
        if len(text) > _LONGEST_VALUE:
            raise OutputError(
                f"Output parameter [{output.name}] is longer than {_LONGEST_VALUE} characters."
            )
        values[output.name] = output.read(text)
    return values


def as_texts(outputs: Sequence[Output], answer: Any) -> dict[str, str]:
    """
    Return a function's answer as texts, the form in which the API carries outputs.

    Raises:
        OutputError: The answer is no object, or a declared output in it is no plain value.
    """
    if not isinstance(answer, Mapping):
        if outputs:
            raise OutputError(
                "The function must answer an object with the output parameters "
                f"{', '.join(output.name for output in outputs)}, not {json.dumps(answer)[:200]}."
            )
        return {}
    texts: dict[str, str] = {}
    for output in outputs:
        value = answer.get(output.name)
        if isinstance(value, str):
            texts[output.name] = value
        elif isinstance(value, bool | int | float):
            texts[output.name] = json.dumps(value)
        elif value is not None:
            raise OutputError(
                f"Output parameter [{output.name}] is {json.dumps(value)[:200]}; "
                "it must be a string, number or boolean at the top of the answer."
            )
    return texts


def as_parameters(texts: Mapping[str, str]) -> list[dict[str, str]]:
    """Return texts in the API's shape of OutputParameters."""
    return [{"Name": name, "Value": text} for name, text in texts.items()]
