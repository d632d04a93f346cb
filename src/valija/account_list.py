"""The accounts in the files of a site, edited in place: what is not edited stays byte for byte, comments included.

This module finds the files, and edits `mail_accounts` in YAML; `account_table` edits the table of `mail_accounts_file`.

YAML's own parser tells where a value stands in the text; only that place is rewritten.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from ansible_collections.valija.mailserver.plugins.module_utils.account_rows import NAME

from valija import inventory_files
from valija.account_table import AccountTable
from valija.errors import InputError
from valija.messages import _

KEY = "mail_accounts"

# How YAML writes that there is no value.
_NOTHING = ("", "null", "~")


@dataclass(frozen=True)
class AccountFile:
    """A file of a site that sets `mail_accounts` to a list, and its text."""

    path: Path
    text: str

    key = KEY

    @property
    def names(self) -> list[str]:
        """The names of the accounts in the list."""
        found = [_value_of(item, "name") for item in _items(self.text)]
        return [node.value for node in found if isinstance(node, yaml.ScalarNode)]

    def with_account(self, account: Mapping[str, str]) -> str:
        """The text with one more account at the end of the list."""
        return with_account(self.text, account)

    def with_password_hash(self, name: str, made: str) -> str:
        """The text with another password for an account."""
        return with_password_hash(self.text, name, made)

    def write(self, text: str) -> None:
        """Put another text in place of this one, in one step."""
        inventory_files.replace(self.path, text)


def all_files(inventory: Sequence[str]) -> list[AccountFile | AccountTable]:
    """Every file of a site that accounts stand in, tables first and each once.

    InputError when one cannot be read, or holds them in a way that cannot be edited.
    """
    lists: list[AccountFile | AccountTable] = []
    tables: dict[Path, AccountTable] = {}
    for source, path, text in _texts(inventory):
        document = _document(text)
        listed, named = _value_of(document, KEY), _value_of(document, NAME)
        if listed is not None:
            if not isinstance(listed, yaml.SequenceNode) and listed.value not in _NOTHING:
                words = _("{path}: {key} is no list here, so it cannot be edited. Edit it by hand.")
                raise InputError(words.format(path=path, key=KEY))
            lists.append(AccountFile(path, text))
        if isinstance(named, yaml.ScalarNode) and named.value not in _NOTHING:
            if "{{" in named.value:
                words = _("{path}: {key} is a template, so the table it names cannot be edited. Edit it by hand.")
                raise InputError(words.format(path=path, key=NAME))
            table = table_path(source, named.value)
            if table.resolve() not in tables:
                tables[table.resolve()] = AccountTable.read(table)
    return [*tables.values(), *lists]


def table_path(source: str, value: str) -> Path:
    """The table that a value of `mail_accounts_file` means: relative to the inventory's folder."""
    folder = Path(source) if Path(source).is_dir() else Path(source).parent
    return folder / value


def _texts(inventory: Sequence[str]) -> Iterator[tuple[str, Path, str]]:
    """Each file of a site that may set accounts: the source of the inventory, its path, and its text."""
    inventory_files.require_readable(inventory)
    for source in inventory:
        for path in [] if "," in source else inventory_files.files(Path(source)):
            data = path.read_bytes()
            if KEY.encode() in data and path.suffix in (".yml", ".yaml", ""):
                yield source, path, data.decode("utf-8")


def the_file(inventory: Sequence[str], name: str | None = None) -> AccountFile | AccountTable:
    """The one file of a site to edit, see `chosen`."""
    return chosen(all_files(inventory), name)


def chosen(found: Sequence[AccountFile | AccountTable], name: str | None = None) -> AccountFile | AccountTable:
    """The one file to edit: that with the account `name`; for a new one (None) the site's table, else its only list."""
    fitting = [one for one in found if (name in one.names if name else isinstance(one, AccountTable))]
    if name is None and not fitting:
        fitting = [*found]
    if len(fitting) == 1:
        return fitting[0]
    paths = ", ".join(str(one.path) for one in (fitting or found))
    if not found:
        words = _("No file of the site sets mail_accounts. Write `mail_accounts: []` into group_vars/all/mail.yml.")
    elif not fitting:
        words = _("{name} is not in mail_accounts or its file ({paths}). `valija accounts add` makes a new account.")
    else:
        words = _("mail_accounts stands in several files: {paths}. Edit the right one by hand.")
    raise InputError(words.format(name=name, paths=paths))


def with_account(text: str, account: Mapping[str, str]) -> str:
    """The text with one more account at the end of the list, written as the others are."""
    node = _list_node(text)
    assert node is not None
    items = _plain(node) or []
    wanted = [*items, dict(account)]
    if isinstance(node, yaml.SequenceNode) and node.flow_style and node.value:
        at = text.rindex("]", node.start_mark.index, node.end_mark.index)
        new = f"{text[:at].rstrip().removesuffix(',')}, {{{_flow(account)}}}{text[at:]}"
    elif isinstance(node, yaml.SequenceNode) and node.value:
        at = _end_of_line(text, _end(node.value[-1]))
        new = f"{text[:at]}\n{_block(account, node.start_mark.column)}{text[at:]}"
    else:
        at, end = node.start_mark.index, node.end_mark.index
        new = f"{text[:at].rstrip(' ')}\n{_block(account, 2)}{text[end:]}"
    return _checked(new, wanted)


def with_password_hash(text: str, name: str, made: str) -> str:
    """The text with another password for an account: its hash, in place of the password or hash that stands there."""
    items = _items(text)
    position = next(number for number, item in enumerate(items) if _name_is(item, name))
    item = items[position]
    wanted = _plain(_list_node(text))
    wanted[position].pop("password", None)
    wanted[position]["password_hash"] = made
    for key, value in item.value:
        if key.value in ("password", "password_hash"):
            start, end = key.start_mark.index, value.end_mark.index
            old = text[start:end]
            ending = old[len(old.rstrip("\n")) :]
            return _checked(f"{text[:start]}password_hash: {json.dumps(made)}{ending}{text[end:]}", wanted)
    key, value = next(pair for pair in item.value if pair[0].value == "name")
    at = value.end_mark.index
    if item.flow_style:
        return _checked(f"{text[:at]}, password_hash: {json.dumps(made)}{text[at:]}", wanted)
    at = _end_of_line(text, at)
    return _checked(f"{text[:at]}\n{' ' * key.start_mark.column}password_hash: {json.dumps(made)}{text[at:]}", wanted)


def _list_node(text: str) -> yaml.Node | None:
    """The value of `mail_accounts` in a text, or None when it has none."""
    return _value_of(_document(text), KEY)


def _document(text: str) -> yaml.MappingNode:
    """The mapping that a text is; an empty one where it is something else."""
    document = yaml.compose(text, Loader=yaml.SafeLoader)
    return document if isinstance(document, yaml.MappingNode) else yaml.MappingNode("", [])


def _items(text: str) -> list[yaml.MappingNode]:
    node = _list_node(text)
    items = node.value if isinstance(node, yaml.SequenceNode) else []
    return [item for item in items if isinstance(item, yaml.MappingNode)]


def _value_of(node: yaml.MappingNode, key: str) -> yaml.Node | None:
    found: yaml.Node | None = next((value for name, value in node.value if name.value == key), None)
    return found


def _name_is(item: yaml.MappingNode, name: str) -> bool:
    found = _value_of(item, "name")
    return found is not None and found.value == name


def _plain(node: yaml.Node | None) -> Any:
    """What a node says, tags left out; for comparing two texts."""
    if isinstance(node, yaml.MappingNode):
        return {key.value: _plain(value) for key, value in node.value}
    if isinstance(node, yaml.SequenceNode):
        return [_plain(value) for value in node.value]
    return node.value if node is not None else None


def _end(node: yaml.Node) -> int:
    """Where the last word of a node ends; a block's own mark stands behind the comments that follow it."""
    while isinstance(node, yaml.CollectionNode) and not node.flow_style and node.value:
        last = node.value[-1]
        node = last[1] if isinstance(last, tuple) else last
    end: int = node.end_mark.index
    return end


def _end_of_line(text: str, at: int) -> int:
    """The end of the line in which a node ends; a block scalar's end lies in the lines after it."""
    while at > 0 and text[at - 1] == "\n":
        at -= 1
    found = text.find("\n", at)
    return len(text) if found < 0 else found


def _block(account: Mapping[str, str], column: int) -> str:
    lines = [f"{key}: {_scalar(value)}" for key, value in account.items()]
    return f"{' ' * column}- " + f"\n{' ' * (column + 2)}".join(lines)


def _flow(account: Mapping[str, str]) -> str:
    return ", ".join(f"{key}: {json.dumps(value, ensure_ascii=False)}" for key, value in account.items())


def _scalar(value: str) -> str:
    """A text as a person would write it: quotes only where YAML would read something else."""
    plain = value.replace("-", "").replace(".", "").isalnum() and yaml.safe_load(value) == value
    return value if plain else json.dumps(value, ensure_ascii=False)


def _checked(text: str, wanted: Any) -> str:
    """The text, once it is sure to say what is wanted."""
    if _plain(_list_node(text)) != wanted:
        raise InputError(_("mail_accounts is written in a way that cannot be edited safely. Edit it by hand."))
    return text
