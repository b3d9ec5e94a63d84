"""Writes docs/settings.md and example/stoker.toml from the settings' models, so that they cannot fall behind.

Usage: python -m stoker.settings_docs docs/settings.md example/stoker.toml
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from pydantic_core import PydanticUndefined

from fleet.section import Section
from fleet.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pydantic import BaseModel
    from pydantic.fields import FieldInfo

HEAD = """# Settings

`stoker.toml` in the current folder, or the file named by `--config`. An environment variable wins over the file:
`STOKER_FLEET` for `fleet`, `STOKER_POLICY__MAX` for `max` in the table `[policy]`. An unknown key, a wrong type or a
broken rule stops the start with one line that says which. Secrets belong into the environment or a file, never on a
command line. [example/stoker.toml](../example/stoker.toml) holds every setting at its default.

This page is made from the settings' models by `make docs`.
"""
TOML_HEAD = """# Every setting of Stoker at its default; those that are commented out have none.
# docs/settings.md holds the rules. Keep only what you change.
"""
# Rules over more than one setting, which the models' schema does not show.
TOGETHER = {
    "policy": "`min` is at most `max`, `panic_window_s` below `stable_window_s`, `down_rps` below `up_rps`.",
    "policy.schedules": "`min` is at most that table's `max`; `end` or `duration_s` is set; `end` is not `start`.",
    "instance": "`image` is needed by docker and ansible, `command` with `{port}` in it by process.",
    "actuator": "`inventory` is needed by ansible.",
}
# Tables that stand in the file as often as needed, and what stands for the default of a setting that has none.
REPEATED = {"policy.schedules"}
REQUIRED = "required"
KINDS = {
    "string": "text",
    "number": "number",
    "integer": "whole number",
    "boolean": "`true` or `false`",
    "array": "list of texts",
}
LIMITS = (
    ("minimum", "{:g} or more"),
    ("exclusiveMinimum", "above {:g}"),
    ("maximum", "{:g} at most"),
    ("exclusiveMaximum", "below {:g}"),
)


def page() -> str:
    """docs/settings.md."""
    parts = [HEAD]
    for table, model, sentence in tables():
        title = f"## {_header(table)}" if table else "## Top level"
        parts.append(f"{title}\n\n{sentence}\n\n| setting | default | rule | what it is |\n|---|---|---|---|")
        rows = [
            f"| `{name}` | {_code(_default(field))} | {_rule(model, name)} | {_cell(field.description or '')} |"
            for name, field in plain_fields(model)
        ]
        parts.append("\n".join(rows) + "\n")
        if table in TOGETHER:
            parts.append(f"Together: {TOGETHER[table]}\n")
    return "\n".join(parts)


def example() -> str:
    """example/stoker.toml."""
    parts = [TOML_HEAD]
    for table, model, sentence in tables():
        out = "# " if table in REPEATED else ""  # none of them is there by default
        lines = [f"# {sentence}", f"{out}{_header(table)}"] if table else []
        for name, field in plain_fields(model):
            default = _default(field)
            lines.append(f"# {field.description}")
            lines.append(f"# {name} =" if default is None or default is REQUIRED else f"{out}{name} = {_toml(default)}")
        parts.append("\n".join(lines) + "\n")
    return "\n".join(parts)


def tables() -> Iterator[tuple[str, type[BaseModel], str]]:
    """The top level, whose name is "", then each table: name, model, sentence."""
    yield "", Settings, "What stands before the first table."
    for name, field in Settings.model_fields.items():
        if isinstance(field.default, Section):
            yield from _section(name, type(field.default))


def _section(name: str, model: type[BaseModel]) -> Iterator[tuple[str, type[BaseModel], str]]:
    """The table and those that it may hold repeatedly."""
    yield name, model, (model.__doc__ or "").strip()
    for key, field in model.model_fields.items():
        if entry := _entry(field):
            yield f"{name}.{key}", entry, (entry.__doc__ or "").strip()


def _entry(field: FieldInfo) -> type[Section] | None:
    """The model of the repeated table that this setting is, None where it is a plain one."""
    kind = next(iter(get_args(field.annotation)), None)
    return kind if isinstance(kind, type) and issubclass(kind, Section) else None


def plain_fields(model: type[BaseModel]) -> Iterator[tuple[str, FieldInfo]]:
    """The settings of one table."""
    for name, field in model.model_fields.items():
        if not isinstance(field.default, Section) and _entry(field) is None:
            yield name, field


def _header(table: str) -> str:
    return f"[[{table}]]" if table in REPEATED else f"[{table}]"


def _default(field: FieldInfo) -> Any:  # noqa: ANN401  # of any setting's type
    default = field.get_default(call_default_factory=True)
    if default is PydanticUndefined:
        return REQUIRED
    return str(default) if isinstance(default, Path) else default


def _toml(value: Any) -> str:  # noqa: ANN401
    if isinstance(value, tuple):
        return f"[{', '.join(_toml(item) for item in value)}]"
    return "{}" if value == {} else json.dumps(value)


def _code(value: Any) -> str:  # noqa: ANN401
    return value if value is REQUIRED else "none" if value is None else f"`{_toml(value)}`"


def _rule(model: type[BaseModel], name: str) -> str:
    schema = model.model_json_schema()["properties"][name]
    # Optional settings carry their rule in the branch that is not null.
    branch = next((one for one in schema.get("anyOf", ()) if one.get("type") != "null"), schema)
    if "enum" in branch:
        return " or ".join(f"`{choice}`" for choice in branch["enum"])
    if "const" in branch:
        return f"`{branch['const']}`"
    words = [words.format(branch[key]) for key, words in LIMITS if key in branch]
    if "pattern" in branch:
        words.append(f"matches `{_cell(branch['pattern'])}`")
    return _kind(branch) + (f", {', '.join(words)}" if words else "")


def _kind(branch: dict[str, Any]) -> str:
    if branch.get("format") == "path":
        return "path"
    return KINDS.get(branch.get("type", ""), "table")


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def main(settings_page: Path, example_file: Path) -> None:
    """Write both."""
    settings_page.write_text(page(), encoding="utf-8")
    example_file.write_text(example(), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
