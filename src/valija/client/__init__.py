"""A mail client for sending: MIME, submission with TLS and login, and refusals in words.

from valija.client import Login, Message, send

message = Message("alice@example.org", ["bob@example.net"], "Hello", "A text.")
send(message, "smtp.example.org:587", login=Login("alice", password))
"""

from valija.client.message import Attachment, Message
from valija.client.problems import Kind, Problem
from valija.client.sending import NotSentError, Refused, Result, send
from valija.client.server import Login, Notify, Reports, Security, Server

__all__ = [
    "Attachment",
    "Kind",
    "Login",
    "Message",
    "NotSentError",
    "Notify",
    "Problem",
    "Refused",
    "Reports",
    "Result",
    "Security",
    "Server",
    "send",
]
