"""Acts that several people agree to, done over the API with all of them at hand."""

from collections.abc import Mapping, Sequence
from typing import Any

import httpx

from bidwitness.words import Role

APPROVALS = "/api/v1/approvals"
# The header by which a client of all the staff says who of them acts.
ACTS_AS = "X-Acts-As"


def as_one(role: Role) -> dict[str, str]:
    return {ACTS_AS: role.value}


def exactly(row: Mapping[str, Any], **more: object) -> dict[str, object]:
    return {"content_sha256": row["content_sha256"], **more}


def a_wish(session: str, **more: object) -> dict[str, object]:
    """A request for a session's picture, as its form."""
    return {
        "username": "li",
        "unit": "审计局",
        "session_ids": [session],
        "media": ["picture"],
        "actions": ["replay"],
        "purpose": "审计抽查",
        "document_no": "审〔2026〕7号",
        "days": 7,
        **more,
    }


def a_demand(session: str, **more: object) -> dict[str, object]:
    """A demand of an authority that has come with papers, carried out by the archivist."""
    return {
        **a_wish(session, username="staff.archivist", unit="市监察委员会", actions=["copy"]),
        "basis": "《监察法》第十八条",
        "papers_sha256": "a" * 64,
        "case_no": "监〔2026〕3号",
        "handlers": [
            {"name": "陈一", "card_no": "J001", "contact": "010-1"},
            {"name": "陈二", "card_no": "J002", "contact": "010-2"},
        ],
        **more,
    }


def ask(
    client: httpx.Client, kind: str, content: Mapping[str, object], role: Role | None = None
) -> httpx.Response:
    body = {"kind": kind, "content": dict(content), "reason": "按程序办理"}
    return client.post(APPROVALS, json=body, headers=as_one(role) if role else {})


def done(
    staff: httpx.Client,
    kind: str,
    content: Mapping[str, object],
    by: Role,
    agreed: Sequence[Role],
) -> dict[str, Any]:
    """Have the staff ask for an act, agree to it and carry it out; give the request."""
    asked = ask(staff, kind, content, by)
    assert asked.status_code == 201, asked.text
    row: dict[str, Any] = asked.json()
    at = f"{APPROVALS}/{row['id']}"
    for role in agreed:
        answer = staff.post(f"{at}/approve", json=exactly(row), headers=as_one(role))
        assert answer.status_code == 200, answer.text
    answer = staff.post(f"{at}/execute", json=exactly(row), headers=as_one(by))
    assert answer.status_code == 200, answer.text
    executed: dict[str, Any] = answer.json()
    return executed


def granted(staff: httpx.Client, content: Mapping[str, object]) -> dict[str, Any]:
    """Have the staff grant what a paper application asks for; give the first grant."""
    agreed = (Role.DIRECTOR, Role.SECURITY_ADMIN)
    row = done(staff, "grant.request", content, Role.ARCHIVIST, agreed)
    grants = staff.get("/api/v1/grants").json()["items"]
    return next(one for one in grants if one["approval_id"] == row["id"])
