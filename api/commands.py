"""Commands of this folder, found by the entry-point group ``bidwitness.commands``."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from bidwitness.clock import SystemClock
from bidwitness.config import Settings, load_settings
from bidwitness.errors import InvalidInput
from bidwitness.words import Role

if TYPE_CHECKING:
    from bidwitness.storage.index.database import Database

app = typer.Typer()
users = typer.Typer(help="Users of this installation.", no_args_is_help=True)
app.add_typer(users, name="user")

Host = Annotated[str | None, typer.Option(help="Address to listen on; loopback if not given.")]
Port = Annotated[int | None, typer.Option(min=0, max=65535, help="8470; 0 takes a free one.")]
Proxy = Annotated[
    bool, typer.Option("--behind-proxy", help="A TLS proxy stands in front: trust X-Forwarded-*.")
]


@app.command()
def api(host: Host = None, port: Port = None, behind_proxy: Proxy = False) -> None:
    """Serve the REST API and the pages."""
    from bidwitness.api.serving import run

    given = {"host": host, "port": port, "behind_proxy": behind_proxy or None}
    run(load_settings(**{name: value for name, value in given.items() if value is not None}))


@users.command("add")
def add_user(
    username: str,
    role: Annotated[list[Role], typer.Option(help="Give it once for each role.")],
    name: Annotated[str, typer.Option(help="What lists show; the user name if not given.")] = "",
    password_stdin: Annotated[
        bool, typer.Option("--password-stdin", help="Read the password instead of making one.")
    ] = False,
    keep: Annotated[
        bool, typer.Option("--keep", help="The password need not be changed at the first login.")
    ] = False,
) -> None:
    """Add a user. Without --password-stdin a password is made and printed once."""
    from bidwitness.storage import people
    from bidwitness.storage.index.audit import Who
    from bidwitness.storage.password_rule import check_password_rule

    settings = load_settings()
    given = sys.stdin.readline().rstrip("\r\n") if password_stdin else None
    password = given if given is not None else people.new_password()
    people.check_username(username)
    least = settings.password_min_length
    check_password_rule(password, username, name=name or None, least=least)
    hashed = people.Passwords().hash(password)
    with _index(settings) as database, database.write() as orm:
        people.create_user(
            orm,
            Who("bidwitness user add"),
            SystemClock().utc_us(),
            username=username,
            name=name or username,
            roles=role,
            password_hash=hashed,
            must_change_password=not keep,
        )
    if given is None:
        typer.echo(f"{username}: {password}")


@users.command("password")
def reset_password(
    username: str,
    drop_factors: Annotated[
        bool, typer.Option("--drop-factors", help="Remove her second factors as well.")
    ] = False,
) -> None:
    """Give a user a new password, printed once, to be changed at the next login."""
    from bidwitness.storage import factors, oidc_links, people
    from bidwitness.storage.index.audit import Who, leave_audit_entry

    password = people.new_password()
    hashed = people.Passwords().hash(password)
    with _index(load_settings()) as database, database.write() as orm:
        user = people.find_user(orm, username)
        if user is None:
            raise InvalidInput(f"There is no user {username}.")
        who = Who("bidwitness user password")
        now = SystemClock().utc_us()
        people.reset_password(orm, who, now, user, hashed)
        if drop_factors:
            held = factors.remove_all_factors(orm, user.id)
            link = oidc_links.drop_link(orm, user.id)
            facts = {"totp": held.totp, "keys": held.keys, "oidc": link}
            leave_audit_entry(orm, who, "factor.drop", f"user:{user.id}", now, facts=facts)
    typer.echo(f"{username}: {password}")


@users.command("first")
def first_administrator() -> None:
    """Make the first administrator if there is no user yet, and print the password once."""
    from bidwitness.api.serving import first_password

    with _index(load_settings()) as database:
        told = first_password(database, SystemClock())
    if told:
        typer.echo(told)


@contextmanager
def _index(settings: Settings) -> Iterator["Database"]:
    """Give the index with this version's tables."""
    from bidwitness.storage.index.database import open_index, upgrade

    database = open_index(settings)
    try:
        upgrade(database)
        yield database
    finally:
        database.close()
