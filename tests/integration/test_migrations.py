"""Every revision goes up, down and up again with rows in its tables; what it builds is what the code expects."""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from notify.errors import MigrationNeeded, OperatorError
from notify.model import Channel, Suppression
from notify.store import Store, audit, open_store, schema, suppressions
from notify.store.tables import metadata, tenants
from notify.store.tenants import DEFAULT_ID, DEFAULT_KEY
from tests.integration.test_store_checks import NOW, populate

REVISIONS = schema.revisions()
VERSIONS = "alembic_version"


@pytest.fixture
def store(empty_database_url: str) -> Iterator[Store]:
    opened = open_store(empty_database_url)
    yield opened
    opened.close()


def tables_of(store: Store) -> sa.MetaData:
    """The tables that are there, without Alembic's own."""
    found = sa.MetaData()
    with store.read() as connection:
        found.reflect(connection, only=lambda name, _: name != VERSIONS)
    return found


def contents(store: Store) -> dict[str, list[tuple[Any, ...]]]:
    """Every row of every table."""
    with store.read() as connection:
        return {
            table.name: sorted((tuple(row) for row in connection.execute(sa.select(table))), key=repr)
            for table in tables_of(store).sorted_tables
        }


def fill(store: Store) -> None:
    """Put a row in every table that is there."""
    found = tables_of(store)
    with store.begin() as connection:
        if owner := connection.scalar(sa.select(tenants.c.id)):
            with audit.door(connection, owner, NOW):
                connection.execute(sa.delete(found.tables["audit"]))
        for table in reversed(found.sorted_tables):
            connection.execute(sa.delete(table))
        populate(connection, found)


def build(store: Store) -> Mapping[str, Any]:
    """How the tables, their columns, constraints and indices are built."""
    with store.read() as connection:
        there = sa.inspect(connection)
        return {
            name: (
                [(column["name"], str(column["type"]), column["nullable"]) for column in there.get_columns(name)],
                there.get_pk_constraint(name)["constrained_columns"],
                sorted(map(str, there.get_foreign_keys(name))),
                sorted(map(str, there.get_unique_constraints(name))),
                sorted(map(str, there.get_check_constraints(name))),
                sorted(map(_shown, there.get_indexes(name))),
            )
            for name in there.get_table_names()
            if name != VERSIONS
        }


def _shown(index: Mapping[str, Any]) -> str:
    options = {name: str(value) for name, value in index.get("dialect_options", {}).items()}
    return str({**index, "dialect_options": options})


@pytest.mark.parametrize("revision", REVISIONS)
def test_a_revision_goes_up_down_and_up_and_the_rows_it_does_not_touch_survive(store: Store, revision: str) -> None:
    position = REVISIONS.index(revision)
    before = REVISIONS[position - 1] if position else "base"
    if position:
        schema.upgrade(store, before)
        fill(store)
    kept, below = contents(store), build(store)

    schema.upgrade(store, revision)
    built, raised = build(store), contents(store)
    untouched = [name for name in below if below[name] == built.get(name)]
    assert {name: raised[name] for name in untouched} == {name: kept[name] for name in untouched}
    fill(store)
    kept = contents(store)

    schema.downgrade(store, before)
    assert build(store) == below
    lowered = contents(store)
    assert {name: lowered[name] for name in untouched} == {name: kept[name] for name in untouched}

    schema.upgrade(store, revision)
    assert build(store) == built
    assert schema.current(store) == revision


def test_cheap_rows_keep_every_message_and_every_attempt_on_the_way_up_and_down(store: Store) -> None:
    schema.upgrade(store, "0001")
    fill(store)
    kept = contents(store)
    schema.upgrade(store, "0002")
    assert contents(store) == {**kept, "fan_outs": []}
    schema.downgrade(store, "0001")
    assert contents(store) == kept


def test_of_several_reasons_the_persons_own_word_is_left_on_the_way_down(store: Store) -> None:
    schema.upgrade(store, "0004")
    with store.begin() as connection:
        for reason in ("bounced", "unsubscribed", "manual"):
            row = Suppression(Channel.EMAIL, "ada@example.org", reason, "test")
            suppressions.add(connection, DEFAULT_ID, [row], NOW)
    schema.downgrade(store, "0003")
    with store.read() as connection:
        assert connection.execute(sa.text("SELECT reason FROM suppressions")).scalars().all() == ["unsubscribed"]


def test_an_empty_database_is_at_no_revision(store: Store) -> None:
    assert schema.current(store) is None


def test_upgrading_twice_changes_nothing(store: Store) -> None:
    schema.upgrade(store)
    fill(store)
    before = schema.current(store), build(store), contents(store)
    schema.upgrade(store)
    assert (schema.current(store), build(store), contents(store)) == before
    assert schema.current(store) == schema.head() == REVISIONS[-1]


def test_the_migrations_build_the_tables_that_the_code_expects(store: Store) -> None:
    schema.upgrade(store)
    with store.read() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True, "compare_server_default": True})
        assert compare_metadata(context, metadata) == []


def test_the_migrations_and_a_database_made_at_once_are_alike_down_to_their_checks(
    store: Store, database_url: str
) -> None:
    migrated = open_store(database_url)
    if migrated.engine.dialect.name != store.engine.dialect.name:
        migrated.close()
        return
    schema.create(store)
    assert build(store) == build(migrated)
    assert contents(store)["tenants"][0][:2] == contents(migrated)["tenants"][0][:2]
    migrated.close()


def test_a_migrated_database_has_the_default_tenant(store: Store) -> None:
    schema.upgrade(store)
    with store.read() as connection:
        assert connection.execute(sa.select(tenants.c.id, tenants.c.key)).all() == [(DEFAULT_ID, DEFAULT_KEY)]


def test_downgrading_to_base_leaves_no_table_but_alembics(store: Store) -> None:
    schema.upgrade(store)
    fill(store)
    schema.downgrade(store, "base")
    with store.read() as connection:
        assert sa.inspect(connection).get_table_names() == [VERSIONS]
    assert schema.current(store) is None


def test_a_database_of_a_newer_notify_is_refused_and_left_alone(store: Store) -> None:
    schema.upgrade(store)
    with store.begin() as connection:
        connection.execute(sa.text(f"UPDATE {VERSIONS} SET version_num = '9999'"))
    before = contents(store)
    with pytest.raises(OperatorError, match=r"9999[\s\S]*needs that newer notify"):
        schema.upgrade(store)
    assert (schema.current(store), contents(store)) == ("9999", before)


def test_a_revision_that_nobody_knows_is_refused(store: Store) -> None:
    with pytest.raises(OperatorError, match=r"Cannot migrate to 'nonsense'"):
        schema.upgrade(store, "nonsense")
    assert schema.current(store) is None


def test_a_failed_migration_leaves_the_database_as_it_was(store: Store) -> None:
    with store.begin() as connection:
        connection.execute(sa.text("CREATE TABLE workers (mine integer)"))  # another's table is in the way
    with pytest.raises(sa.exc.DBAPIError):
        schema.upgrade(store)
    assert list(tables_of(store).tables) == ["workers"]
    assert schema.current(store) is None


def test_head_is_required(store: Store) -> None:
    with pytest.raises(MigrationNeeded, match=r"at revision none[\s\S]*Next: notify db upgrade"):
        schema.require_head(store)
    schema.upgrade(store)
    schema.require_head(store)
    schema.downgrade(store, "-1")
    with pytest.raises(MigrationNeeded, match="notify db upgrade"):
        schema.require_head(store)


def _upgrade(url: str, together: Any, outcomes: Any) -> None:
    store = open_store(url)
    together.wait(30)
    try:
        schema.upgrade(store)
        outcomes.put(schema.current(store))
    except BaseException as error:
        outcomes.put(repr(error))
    finally:
        store.close()


def test_two_processes_that_migrate_at_once_do_not_fail(store: Store, empty_database_url: str) -> None:
    spawn = multiprocessing.get_context("spawn")
    together, outcomes = spawn.Barrier(2), spawn.Queue()
    processes = [spawn.Process(target=_upgrade, args=(empty_database_url, together, outcomes)) for _ in range(2)]
    for process in processes:
        process.start()
    try:
        assert [outcomes.get(timeout=60) for _ in processes] == [schema.head()] * 2
    finally:
        for process in processes:
            process.join(30)
    assert set(tables_of(store).tables) == set(metadata.tables)


def test_what_died_under_an_earlier_version_is_among_the_dead_letters(store: Store) -> None:
    schema.upgrade(store, "0002")
    fill(store)
    with store.begin() as connection:
        connection.execute(sa.text("UPDATE messages SET state = 'dead', reason = 'blocked', rule = 'refused for good'"))
    schema.upgrade(store, "0003")
    with store.read() as connection:
        [letter] = connection.execute(sa.text("SELECT * FROM dead_letters")).mappings()
        [message] = connection.execute(sa.text("SELECT * FROM messages")).mappings()
    assert (letter["message_id"], letter["reason"], letter["detail"]) == (message["id"], "blocked", "refused for good")
