"""A private PostgreSQL for programs that measure, through postgres.sh: gone with stop(), or with the process.

    postgres = Postgres()
    if postgres.is_there:
        env.update(postgres.database("name"))    # PARLEY_DATABASE_URL and the owner's, to be migrated
    postgres.stop()
"""

import pathlib
import subprocess

SCRIPT = pathlib.Path(__file__).resolve().parent / "postgres.sh"


class Postgres:
    """Durable, as PostgreSQL comes."""

    def __init__(self):
        self.process = subprocess.Popen([SCRIPT, "durable"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.said = {}
        for line in self.process.stdout:
            word, _, value = line.strip().partition(" ")
            self.said[word] = value
            if word in ("ready", "missing", "failed"):
                break
        self.is_there = "ready" in self.said
        if not self.is_there and "missing" not in self.said:
            raise SystemExit("PostgreSQL does not start")

    def url(self, role, database):
        return f"postgresql://{role}:{self.said['password']}@127.0.0.1:{self.said['port']}/{database}"

    def database(self, name):
        """Makes one; gives the addresses as settings."""
        self.process.stdin.write(f"database {name}\n")
        self.process.stdin.flush()
        if self.process.stdout.readline() != "ok\n":
            raise SystemExit("PostgreSQL made no database")
        return {
            "PARLEY_DATABASE_URL": self.url("parley_app", name),
            "PARLEY_DATABASE_MIGRATION_URL": self.url("parley_owner", name),
        }

    def stop(self):
        self.process.stdin.close()
        self.process.wait()
