"""Where a user finds out more: logs, addresses and commands, as they are typed on his machine."""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from pydantic_settings import SettingsConfigDict

from paperless.cli.options import API, DEFAULT_STATE, MOCK, PORTAL, System
from paperless.cli.terminal import Terminal
from runtime.settings import EnvironmentSettings, read_settings

# The place of the page for people.
PAGE = "page"
_WIDTH = 11


class ShownSettings(EnvironmentSettings):
    """What a user of this command types and opens, where that is not what the command itself uses: in a container."""

    model_config = SettingsConfigDict(env_prefix="PAPERLESS_SHOWN_")

    command: str = "paperless"
    logs: str | None = None
    stop: str | None = None
    portal: str | None = None
    api: str | None = None
    mock: str | None = None
    kafka: str | None = None


class Signposts(NamedTuple):
    """The command with its options, and what is shown by its key in the catalogue."""

    command: str
    options: str
    places: dict[str, str]

    def typed(self, words: str) -> str:
        """Return a command as it is typed."""
        return f"{self.command} {words}{self.options}"

    def show(self, terminal: Terminal) -> None:
        """Print where to look."""
        terminal.say("look.title")
        for key, place in self.places.items():
            terminal.line(f"  {terminal.texts(f'look.{key}'):<{_WIDTH}} {place}")


def signposts(system: System, state_dir: Path) -> Signposts:
    """Return where to look in a system; the variables `PAPERLESS_SHOWN_*` replace what is known of it."""
    shown = read_settings(ShownSettings)
    options = "" if state_dir == DEFAULT_STATE or system.local is None else f" --state {state_dir}"
    posts = Signposts(shown.command, options, {})
    return posts._replace(places=dict(_places(system, shown, posts)))


def _places(system: System, shown: ShownSettings, posts: Signposts) -> Iterator[tuple[str, str]]:
    portal = shown.portal or system.endpoints.get(PORTAL)
    if portal:
        yield PAGE, f"{portal}/"
    if logs := shown.logs or (str(system.local.directory.logs) if system.local else None):
        yield "logs", logs
    if portal:
        yield "portal", f"{portal}/docs"
    if api := shown.api or system.endpoints.get(API):
        yield "api", f"{api}/docs"
    if mock := shown.mock or system.endpoints.get(MOCK):
        yield "mock", f"{mock}/docs"
    if kafka := shown.kafka or (system.kafka.kafka_servers if system.kafka else None):
        yield "kafka", kafka
    yield "status", posts.typed("status")
    if shown.stop:
        yield "stop", shown.stop
