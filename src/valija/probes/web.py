"""A small browser on http.client: cookies, redirects, forms, and a transcript with the cookies masked."""

from __future__ import annotations

import http.client
import ssl
from dataclasses import dataclass, field
from html.parser import HTMLParser
from urllib.parse import urlencode, urljoin, urlsplit

from valija.messages import _
from valija.probes import transcript
from valija.probes.routes import TIMEOUT_SECONDS, Direct, Route, endpoint, join
from valija.probes.transcript import MASK, Recorder, Transcript

# Names of form fields whose values are never recorded: passwords, and tokens that stand for a session.
SECRET_FIELDS = frozenset({"secretkey", "password", "smtoken", "key", "_pass", "_token"})

_REDIRECTS_AT_MOST = 6


@dataclass(frozen=True)
class Page:
    """One answer: the address that gave it in the end, status, headers by lower-case name, body."""

    url: str
    status: int
    headers: dict[str, list[str]]
    body: bytes

    @property
    def text(self) -> str:
        charset = "utf-8"
        for value in self.headers.get("content-type", []):
            if "charset=" in value.lower():
                charset = value.lower().rpartition("charset=")[2].strip(' "')
        try:
            return self.body.decode(charset, "replace")
        except LookupError:
            return self.body.decode("utf-8", "replace")

    def header(self, name: str) -> str:
        return ", ".join(self.headers.get(name.lower(), []))


@dataclass
class Form:
    """A form as HTML gives it: where it goes and the values that it would send untouched."""

    action: str
    name: str = ""
    fields: dict[str, str] = field(default_factory=dict)
    buttons: dict[str, str] = field(default_factory=dict)


class _Forms(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.forms: list[Form] = []
        self.links: list[str] = []
        self._area: str | None = None
        self._select: str | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        got = {name: value or "" for name, value in attrs}
        if tag == "form":
            self.forms.append(Form(got.get("action", ""), got.get("name", "")))
        elif tag in ("a", "frame", "iframe"):
            self.links.append(got.get("href") or got.get("src") or "")
        elif not self.forms or (not got.get("name") and tag != "option"):
            return
        elif tag == "input":
            kind = got.get("type", "text").lower()
            if kind in ("submit", "image", "button"):
                self.forms[-1].buttons[got["name"]] = got.get("value", "")
            elif kind not in ("checkbox", "radio") or "checked" in got:
                self.forms[-1].fields[got["name"]] = got.get("value", "on" if kind == "checkbox" else "")
        elif tag == "textarea":
            self._area = got["name"]
            self.forms[-1].fields[self._area] = ""
        elif tag == "select":
            self._select = got["name"]
        elif tag == "option" and self._select and ("selected" in got or self._select not in self.forms[-1].fields):
            self.forms[-1].fields[self._select] = got.get("value", "")

    def handle_endtag(self, tag: str) -> None:
        if tag == "textarea":
            self._area = None
        elif tag == "select":
            self._select = None

    def handle_data(self, data: str) -> None:
        if self._area is not None:
            self.forms[-1].fields[self._area] += data


def forms(page: Page) -> list[Form]:
    """The forms of a page, in order."""
    parser = _Forms()
    parser.feed(page.text)
    return parser.forms


def links(page: Page) -> list[str]:
    """Where the page's links and frames lead, as absolute addresses, in order."""
    parser = _Forms()
    parser.feed(page.text)
    return [urljoin(page.url, link) for link in parser.links if link]


class Browser:
    """One visitor with a cookie jar; each request is its own connection, all in one transcript.

    `host` is the address that is connected to; the name in `base` is what the Host header and TLS say.
    """

    def __init__(
        self,
        base: str,
        *,
        host: str = "",
        route: Route | None = None,
        timeout: float = TIMEOUT_SECONDS,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.base = base
        self.cookies: dict[str, str] = {}
        self._host = host
        self._route = route or Direct()
        self._timeout = timeout
        self._tls = tls
        parts = urlsplit(base)
        self.recorder = Recorder("http", join(host or parts.hostname or "", _port(base)))
        transcript.on_conversation(self.recorder)

    def get(self, path: str, *, follow: bool = True, headers: dict[str, str] | None = None) -> Page:
        return self._follow("GET", urljoin(self.base, path), None, follow, headers)

    def post(self, path: str, fields: dict[str, str], *, follow: bool = True) -> Page:
        return self._follow("POST", urljoin(self.base, path), fields, follow, None)

    def ask(self, method: str, path: str) -> Page:
        """One request by any method, redirects not followed."""
        return self._follow(method, urljoin(self.base, path), None, False, None)

    def submit(self, page: Page, form: Form, values: dict[str, str], button: str = "") -> Page:
        """Fill in a form of a page and send it, as if `button` had been pressed."""
        fields = {**form.fields, **values}
        if button:
            fields[button] = form.buttons.get(button, "1")
        return self.post(urljoin(page.url, form.action), fields)

    @property
    def transcript(self) -> Transcript:
        return self.recorder.transcript()

    def _follow(
        self, method: str, url: str, fields: dict[str, str] | None, follow: bool, headers: dict[str, str] | None
    ) -> Page:
        for _hop in range(_REDIRECTS_AT_MOST):
            page = self._request(method, url, fields, headers or {})
            target = page.header("location")
            if not (follow and page.status in (301, 302, 303, 307, 308) and target):
                return page
            url = urljoin(url, target)
            if page.status in (301, 302, 303):
                method, fields = "GET", None
        return page

    def _request(self, method: str, url: str, fields: dict[str, str] | None, extra: dict[str, str]) -> Page:
        parts = urlsplit(url)
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        body = urlencode(fields) if fields is not None else None
        headers = {
            "Host": parts.netloc,
            "User-Agent": "valija-probe",
            "Connection": "close",
            "Accept": "text/html",
            **extra,
        }
        if self.cookies:
            headers["Cookie"] = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        if body is not None:
            headers["Content-Type"] = "application/x-www-form-urlencoded"
        self._record_request(method, path, headers, fields)
        connection = http.client.HTTPConnection(parts.hostname or "", _port(url), timeout=self._timeout)
        sock = self._route.connect(self._host or parts.hostname or "", _port(url), self._timeout)
        self.recorder.client = endpoint(sock, peer=False) or self._route.vantage
        if parts.scheme == "https":
            sock = (self._tls or ssl.create_default_context()).wrap_socket(sock, server_hostname=parts.hostname)
            self.recorder.tls = sock.version()
        connection.sock = sock
        try:
            connection.request(method, path, body=body, headers=headers)
            answer = connection.getresponse()
            content = answer.read()
        finally:
            connection.close()
        got: dict[str, list[str]] = {}
        for name, value in answer.getheaders():
            got.setdefault(name.lower(), []).append(value)
            if name.lower() == "set-cookie":
                self._keep(value)
        self._record_answer(answer, content)
        return Page(url, answer.status, got, content)

    def _keep(self, cookie: str) -> None:
        name, _equals, rest = cookie.partition("=")
        value = rest.partition(";")[0].strip()
        if value in ("", "deleted", "SQMTRASH", "-del-"):
            self.cookies.pop(name.strip(), None)
        else:
            self.cookies[name.strip()] = value

    def _record_request(self, method: str, path: str, headers: dict[str, str], fields: dict[str, str] | None) -> None:
        self.recorder.client_says(f"{method} {_without_secrets(path)} HTTP/1.1")
        for name in ("Host", "Cookie"):
            if name in headers:
                self.recorder.client_says(f"{name}: {headers[name]}")
        for name, value in (fields or {}).items():
            shown = MASK if name in SECRET_FIELDS else value if len(value) <= 200 else f"{value[:200]}..."
            self.recorder.client_says(f"  {name}={shown!r}")

    def _record_answer(self, answer: http.client.HTTPResponse, content: bytes) -> None:
        self.recorder.server_says(f"HTTP/1.1 {answer.status} {answer.reason}")
        for name, value in answer.getheaders():
            if name.lower() in ("location", "set-cookie", "content-type"):
                self.recorder.server_says(f"{name}: {_without_secrets(value) if name.lower() == 'location' else value}")
        self.recorder.remark(_("{count} octets of body").format(count=len(content)))


def _without_secrets(path: str) -> str:
    head, mark, query = path.partition("?")
    shown = (
        [
            f"{name}={MASK}" if name in SECRET_FIELDS else f"{name}={value}" if equals else name
            for name, equals, value in (item.partition("=") for item in query.split("&"))
        ]
        if mark
        else []
    )
    return head + mark + "&".join(shown)


def _port(url: str) -> int:
    parts = urlsplit(url)
    return parts.port or (443 if parts.scheme == "https" else 80)
