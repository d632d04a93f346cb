"""What is no end of a message, and no end of a line, although some servers have taken it for one."""

from __future__ import annotations

# False ends of data (CVE-2023-51764 to -51766, CVE-2024-27305).
ENDS = (
    *(b"\n.\n", b"\n.\r", b"\r.\n", b"\r.\r", b"\n.\r\n", b"\r.\r\n"),
    *(b"\r\n\0.\r\n", b"\r\n.\r\r\n", b"\r\r\n.\r\r\n", b"\r\n.\n", b"\r\n.\r"),
)

# Bare line ends by themselves, beside dots.
BARE = (b"a\nb", b"a\rb", b"a\r\r\nb", b"a\n\nb", b"\n", b"\r", b".\n", b"\n.", b"\n..", b"\r\n..\n.")
