"""What Valija takes out of SquirrelMail's source, and what it changes in it, before it goes to a host.

The changes close CVE-2020-14932 and CVE-2020-14933: SquirrelMail rebuilds objects from what the browser sends
(``mailtodata`` and ``attachments`` of src/compose.php) before it looks at the security token. Afterwards no
``unserialize`` of the tree makes an object, and the list of attachments in the compose form is a list of texts, each
checked, from which SquirrelMail's own code builds the attachments.

Each change is checked: where the source does not have the expected form, :class:`UnexpectedSourceError` names the file.
Faults that PHP 8 shows are repaired where they stand; a source without them needs no repair.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from fnmatch import fnmatch

# Where the host keeps SquirrelMail's settings; the tree's own config/config.php leads there.
HOST_CONFIG = "/etc/squirrelmail/config.php"

# Nobody needs these on a host: build and test tools, documents, version control.
_LEFT_OUT = (
    ".git*",
    ".tx*",
    "configure",
    "config/conf.pl",
    "config/config.php",
    "contrib/*",
    "doc/*",
    "plugins/demo/*",
    "plugins/test/*",
    "po/*",
    "src/configtest.php",
)

_CONFIG = f"""<?php

// The settings of this host are outside the tree.
require_once SM_PATH . 'functions/client_data.php';
require '{HOST_CONFIG}';
"""

_CLIENT_DATA = r"""<?php

/**
 * Data that travels through the browser: read without ever making an object from it.
 *
 * Added by Valija (CVE-2020-14932, CVE-2020-14933).
 */

/** The fields of a mailto: address, texts only. */
function client_mailto($text) {
    $fields = is_string($text) ? @unserialize($text, array('allowed_classes' => false, 'max_depth' => 2)) : false;
    return is_array($fields) ? array_filter($fields, 'is_string') : array();
}

/** The attachments of a message as a form field: type, name and file of each. */
function client_attachments_field($attachments) {
    $records = array();
    foreach ($attachments as $attachment) {
        $header = $attachment->mime_header;
        $records[] = array($header->type0 . '/' . $header->type1, (string) $header->getParameter('name'),
                           $attachment->att_local_name);
    }
    return base64_encode(serialize($records));
}

/** The attachments that a form field tells of; a file is named by 32 letters and digits, and nothing else. */
function client_attachments($text) {
    $message = new Message();
    $plain = is_string($text) ? base64_decode($text, true) : false;
    $records = @unserialize((string) $plain, array('allowed_classes' => false, 'max_depth' => 3));
    foreach (is_array($records) ? $records : array() as $record) {
        if (!is_array($record) || array_keys($record) !== array(0, 1, 2)
            || array_filter($record, 'is_string') !== $record || !preg_match('/\A[0-9A-Za-z]{32}\z/', $record[2])) {
            continue;
        }
        $type = preg_match('{\A[\w.+-]+/[\w.+-]+\z}', $record[0]) ? $record[0] : 'application/octet-stream';
        $message->initAttachment($type, preg_replace('/[\x00-\x1f\x7f]/', '', $record[1]), $record[2]);
    }
    return $message->entities;
}
"""

# File, the expression to replace, what replaces it, how often it stands there.
_CHANGES = (
    ("src/compose.php", r"unserialize\(\$mailtodata\)", "client_mailto($mailtodata)", 1),
    (
        "src/compose.php",
        r"unserialize\((?:urldecode\()?\$attachments\)?\)",
        "client_attachments($attachments)",
        2,
    ),
    ("src/compose.php", r"(?<!un)serialize\(\$attach_array\)", "client_attachments_field($attach_array)", 1),
    (
        "src/addrbook_search_html.php",
        r"(?<!un)serialize\(\$composeMessage->entities\)",
        "client_attachments_field($composeMessage->entities)",
        1,
    ),
)

# File, what is wrong, what is right.
_REPAIRS = (
    # A message sent from another page than a list leads back to message 0, which is no empty text any more: the list
    # showed the last message and rows of nothing.
    ("src/right_main.php", "($startMessage == '')", "$startMessage < 1"),
    # A slip of the pen: PHP 8.2 objects to properties that the class does not have.
    ("functions/abook_local_file.php", "$this->writable ", "$this->writeable"),
)


class UnexpectedSourceError(Exception):
    """The source is not the one that our changes were made for; the text names file and place."""


def prepared(source: Mapping[str, bytes]) -> dict[str, bytes]:
    """The files of a host's tree, made from the files of the source (relative path to content).

    Raises :class:`UnexpectedSourceError` when the source is not SquirrelMail's or a change does not fit it.
    """
    files = {
        path: content
        for path, content in source.items()
        if not any(fnmatch(path, pattern) or fnmatch(path, f"{pattern}/*") for pattern in _LEFT_OUT)
    }
    for path, expected, replacement, times in _CHANGES:
        text = _text(files, path)
        changed, count = re.subn(expected, replacement, text)
        if count != times:
            raise UnexpectedSourceError(f"{path}: {expected} stands there {count} times, not {times}")
        files[path] = changed.encode("latin-1")
    for path, wrong, right in _REPAIRS:
        if path in files:
            files[path] = files[path].replace(wrong.encode(), right.encode())
    for path in files:
        if path.endswith(".php") and b"unserialize" in files[path]:
            files[path] = _without_objects(path, _text(files, path)).encode("latin-1")
    files["config/config.php"] = _CONFIG.encode()
    files["functions/client_data.php"] = _CLIENT_DATA.encode()
    return files


def version(source: Mapping[str, bytes]) -> str:
    """SquirrelMail's version as the source states it, for example ``1.4.23 [SVN]``."""
    for path in ("functions/strings.php", "include/constants.php"):
        if found := re.search(rb"(?:\$version\s*=\s*|'SM_VERSION',\s*)'([^']+)'", source.get(path, b"")):
            return found.group(1).decode("latin-1")
    raise UnexpectedSourceError("functions/strings.php: SquirrelMail's version does not stand there")


def _text(files: Mapping[str, bytes], path: str) -> str:
    """The content of a file; Latin-1 keeps every byte, whatever its encoding."""
    if path not in files:
        raise UnexpectedSourceError(f"{path}: the source has no such file")
    return files[path].decode("latin-1")


def _without_objects(path: str, text: str) -> str:
    """The program with every call of unserialize() made unable to create an object."""
    pieces, position = [], 0
    for call in re.finditer(r"(?<![\w$>:])unserialize\s*\(", text):
        end = _closing(text, call.end())
        if end is None:
            raise UnexpectedSourceError(f"{path}: a call of unserialize() does not end")
        if "allowed_classes" not in text[call.end() : end]:
            pieces += [text[position:end], ", array('allowed_classes' => false)"]
            position = end
    return "".join(pieces) + text[position:]


def _closing(text: str, position: int) -> int | None:
    depth = 1
    for bracket in re.finditer(r"[()]", text[position:]):
        depth += 1 if bracket.group() == "(" else -1
        if depth == 0:
            return position + bracket.start()
    return None
