# SPDX-License-Identifier: Apache-2.0
"""Layers, scans, verdicts, steps, launches."""

from __future__ import annotations

from alembic import op

revision = "0001"
down_revision = None

STATEMENTS = (
    """
    CREATE TABLE layers (
        fingerprint  text PRIMARY KEY,
        slim_version integer NOT NULL,
        digest       text NOT NULL,
        size         bigint NOT NULL,
        facts        bytea NOT NULL,
        place        text NOT NULL CHECK (place IN ('database', 'directory', 'dropped')),
        body         bytea,
        indexed_under text NOT NULL DEFAULT '',
        uploaded_at  timestamptz NOT NULL DEFAULT now(),
        CHECK ((place = 'database') = (body IS NOT NULL))
    )
    """,
    "ALTER TABLE layers ALTER COLUMN body SET STORAGE EXTERNAL",
    """
    CREATE TABLE verdicts (
        digest      text PRIMARY KEY,
        fingerprint text NOT NULL,
        generation  text NOT NULL,
        state       text NOT NULL,
        cves        text[] NOT NULL,
        size        integer NOT NULL,
        body        bytea NOT NULL,
        made_at     timestamptz NOT NULL DEFAULT now()
    )
    """,
    "ALTER TABLE verdicts ALTER COLUMN body SET STORAGE EXTERNAL",
    "CREATE INDEX verdicts_fingerprint ON verdicts (fingerprint, made_at)",
    "CREATE INDEX verdicts_cves ON verdicts USING gin (cves)",
    """
    CREATE TABLE latest_verdicts (
        fingerprint text PRIMARY KEY,
        digest      text NOT NULL REFERENCES verdicts,
        generation  text NOT NULL
    )
    """,
    """
    CREATE TABLE scans (
        fingerprint  text PRIMARY KEY,
        state        text NOT NULL CHECK (state IN ('queued', 'running', 'done', 'wanted', 'quarantined')),
        rematch      boolean NOT NULL DEFAULT false,
        attempts     integer NOT NULL DEFAULT 0,
        deaths       integer NOT NULL DEFAULT 0,
        outage       boolean NOT NULL DEFAULT false,
        worker       text NOT NULL DEFAULT '',
        not_before   timestamptz NOT NULL DEFAULT now(),
        lease_until  timestamptz NOT NULL DEFAULT now(),
        queued_at    timestamptz NOT NULL DEFAULT now(),
        changed_at   timestamptz NOT NULL DEFAULT now()
    )
    """,
    "CREATE INDEX scans_open ON scans (rematch, queued_at) WHERE state IN ('queued', 'running')",
    """
    CREATE TABLE steps (
        job           text NOT NULL,
        step          text NOT NULL,
        fingerprint   text NOT NULL,
        policy_digest text NOT NULL,
        decision      bytea NOT NULL,
        kept_at       timestamptz NOT NULL DEFAULT now(),
        PRIMARY KEY (job, step, fingerprint, policy_digest)
    )
    """,
    "CREATE INDEX steps_kept_at ON steps (kept_at)",
    """
    CREATE TABLE launches (
        id          text PRIMARY KEY,
        at          timestamptz NOT NULL,
        user_name   text NOT NULL,
        uid         bigint NOT NULL,
        job         bigint NOT NULL,
        fingerprint text NOT NULL,
        verdict     text NOT NULL,
        cves        text[] NOT NULL,
        body        bytea NOT NULL,
        stored_at   timestamptz NOT NULL DEFAULT now()
    )
    """,
    "CREATE INDEX launches_at ON launches (at)",
    "CREATE INDEX launches_user ON launches (user_name, at)",
    "CREATE INDEX launches_job ON launches (job, at)",
    "CREATE INDEX launches_verdict ON launches (verdict)",
    "CREATE INDEX launches_cves ON launches USING gin (cves)",
)


def upgrade() -> None:
    """Make the first tables."""
    for statement in STATEMENTS:
        op.execute(statement)
