from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from datetime import UTC
from errno import EXDEV
from hashlib import sha256
from pathlib import Path
from threading import Barrier

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from holdfast.audit import entries, verify
from holdfast.errors import HoldfastError
from holdfast.registry import Registry, RegistryError, UnknownVersionError
from holdfast.registry import registry as module
from holdfast.store import StoreError, reading
from holdfast.store.tables import events


def statuses(registry):
    return {version.label: version.status for version in registry.list()}


def test_looking_at_an_empty_home_says_to_train_and_creates_nothing(registry):
    assert registry.list() == []
    assert registry.champion_token() is None
    for look in (lambda: registry.resolve("champion"), lambda: registry.verify("1"), registry.rollback):
        with pytest.raises(UnknownVersionError, match="holdfast train"):
            look()
    assert not registry.home.exists()


def test_the_first_version_is_champion_and_each_later_one_challenger(registry, register):
    first = register(metrics={"auc": 0.85, "nested": {"bins": [1, 2.5, None]}})
    assert (first.number, first.label, first.status, first.name) == (1, "v1", "champion", "customers")
    assert first.metrics == {"auc": 0.85, "nested": {"bins": [1, 2.5, None]}}
    assert first.created.tzinfo is UTC
    assert (first.path / "model.txt").read_text() == "0"
    register()
    assert statuses(registry) == {"v1": "champion", "v2": "challenger"}
    register()
    assert statuses(registry) == {"v1": "champion", "v2": "retired", "v3": "challenger"}
    assert json.loads(json.dumps(first.as_dict()))["version"] == "v1"


def test_the_staged_folder_is_moved_and_the_rest_of_staging_removed(registry, register):
    register()
    assert list((registry.home / "staging").iterdir()) == []


@pytest.mark.parametrize("ref", ["2", "v2", "V2", " v2 ", "challenger", "Challenger"])
def test_a_version_answers_to_its_number_and_its_slot(registry, register, ref):
    register()
    register()
    assert registry.resolve(ref).number == 2


@pytest.mark.parametrize("ref", ["7", "v0", "latest", "retired", "", "-1", "../1", "1" * 30])
def test_an_unknown_version_names_those_that_there_are(registry, register, ref):
    register()
    register()
    with pytest.raises(UnknownVersionError, match=r"v1 \(champion\), v2 \(challenger\)"):
        registry.resolve(ref)


def test_promotion_and_rollback_walk_the_champions_like_a_stack(registry, register):
    for _ in range(3):
        register()
    assert registry.promote("challenger").version.label == "v3"
    assert registry.promote("v2").version.status == "champion"
    assert statuses(registry) == {"v1": "retired", "v2": "champion", "v3": "retired"}
    assert registry.rollback().version.label == "v3"
    assert registry.rollback().version.label == "v1"
    with pytest.raises(UnknownVersionError, match="no earlier champion"):
        registry.rollback()
    assert statuses(registry)["v1"] == "champion"


def test_a_promotion_says_what_it_changed_itself_whoever_promotes_meanwhile(registry, register, fake_verify):
    for _ in range(3):
        register()
    registry.promote("3")

    def meanwhile(folder):
        fake_verify(folder)
        Registry(registry.home, verify=fake_verify, engine=registry.engine).promote("2")

    slow = Registry(registry.home, verify=meanwhile, engine=registry.engine)
    again, other = slow.promote("2"), slow.promote("1")
    assert (again.changed, again.version.status) == (False, "champion")
    assert (other.changed, other.before.label, other.version.status) == (True, "v2", "champion")
    back = registry.rollback()
    assert (back.changed, back.before.label, back.version.label) == (True, "v1", "v2")


def test_each_change_has_its_event_and_promoting_the_champion_is_none(registry, register):
    register()
    register()
    for _ in range(2):
        registry.promote("2")
    registry.rollback()
    with reading(registry.engine) as connection:
        columns = (events.c.action, events.c.slot, events.c.from_version, events.c.to_version)
        happened = connection.execute(sa.select(*columns).order_by(events.c.id)).all()
    assert happened == [
        ("register", "champion", None, 1),
        ("register", "challenger", None, 2),
        ("promote", "champion", 1, 2),
        ("rollback", "champion", 2, 1),
    ]


@pytest.mark.parametrize("kind", ["sqlite"], indirect=True)
@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    steps=st.lists(
        st.sampled_from(["register", "promote 1", "promote 2", "promote 3", "rollback"]), max_size=12
    )
)
def test_any_history_keeps_one_champion_and_a_token_that_tells(
    tmp_path_factory, register, fake_verify, steps
):
    registry = Registry(tmp_path_factory.mktemp("home"), verify=fake_verify)
    model: list[int] = []
    for step in ["register", *steps]:
        before, token = model[-1:], registry.champion_token()
        action, _, ref = step.partition(" ")
        count = len(registry.list())
        if action == "register":
            number = register(registry).number
            assert number == count + 1
            model = model or [number]
        elif action == "promote" and int(ref) <= count:
            registry.promote(ref)
            model += [int(ref)] if model[-1] != int(ref) else []
        elif action == "rollback" and len(model) > 1:
            registry.rollback()
            model.pop()
        champions = [version.number for version in registry.list() if version.status == "champion"]
        assert champions == model[-1:]
        assert (registry.champion_token() == token) == (before == model[-1:])
    registry.close()


def test_a_changed_file_and_a_changed_manifest_are_both_found(registry, register):
    version = register()
    registry.verify("1")
    (version.path / "model.txt").write_text("evil")
    with pytest.raises(HoldfastError, match=r"model\.txt"):
        registry.verify("1")
    sums = json.loads((version.path / "manifest.json").read_text())
    sums["model.txt"] = sha256(b"evil").hexdigest()
    (version.path / "manifest.json").write_text(json.dumps(sums))
    with pytest.raises(RegistryError, match="manifest"):
        registry.verify("1")


def test_a_damaged_version_can_be_neither_promoted_nor_rolled_back_to(registry, register):
    register()
    damaged = register()
    register()
    registry.promote("2")
    registry.promote("3")
    (damaged.path / "model.txt").write_text("evil")
    before = registry.champion_token()
    with pytest.raises(HoldfastError, match=r"model\.txt"):
        registry.promote("2")
    with pytest.raises(HoldfastError, match=r"model\.txt"):
        registry.rollback()
    assert registry.champion_token() == before
    assert registry.resolve("champion").number == 3


def test_files_that_are_gone_or_a_link_are_named(registry, register, tmp_path):
    version = register()
    version.path.rename(tmp_path / "elsewhere")
    with pytest.raises(RegistryError, match="gone"):
        registry.verify("champion")
    version.path.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(RegistryError, match="gone"):
        registry.verify("champion")


@pytest.mark.parametrize("name", ["../evil", "a/b", "", ".", "..", ".hidden"])
def test_a_name_that_is_no_folder_is_refused(registry, register, name):
    with pytest.raises(RegistryError):
        register(name=name)
    assert registry.list() == []


@pytest.mark.parametrize("metrics", [{"auc": float("nan")}, {"auc": object()}], ids=["nan", "object"])
def test_metrics_that_json_cannot_hold_are_refused(registry, register, metrics):
    with pytest.raises(RegistryError, match="metrics"):
        register(metrics=metrics)
    assert registry.list() == []


def test_a_folder_without_manifest_or_with_a_link_is_refused(registry, tmp_path):
    facts = {"name": "c", "recipe": "r", "contract_digest": "", "data_digest": "", "metrics": {}}
    (tmp_path / "empty").mkdir()
    with pytest.raises(RegistryError, match=r"manifest\.json"):
        registry.register(tmp_path / "empty", **facts)
    (tmp_path / "empty" / "manifest.json").write_text("{}")
    (tmp_path / "empty" / "link").symlink_to("/etc/hostname")
    with pytest.raises(RegistryError, match="plain files"):
        registry.register(tmp_path / "empty", **facts)
    assert registry.list() == []


def test_a_registration_that_fails_gives_the_folder_back(registry, register, fill, tmp_path, monkeypatch):
    register()
    staged = fill(tmp_path / "staged")
    monkeypatch.setattr("holdfast.registry.registry._deploy", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        registry.register(staged, name="customers", recipe="", contract_digest="", data_digest="", metrics={})
    assert (staged / "model.txt").exists()
    assert [path.name for path in (registry.home / "artefacts" / "customers").iterdir()] == ["1"]
    assert len(registry.list()) == 1


def test_an_interrupt_after_the_commit_takes_nothing_back(registry, fill, tmp_path, monkeypatch):
    @contextmanager
    def late_interrupt(engine):
        with original(engine) as connection:
            yield connection
        monkeypatch.setattr(module, "writing", original)
        raise KeyboardInterrupt

    original = module.writing
    staged = fill(tmp_path / "staged")
    monkeypatch.setattr(module, "writing", late_interrupt)
    with pytest.raises(KeyboardInterrupt):
        registry.register(staged, name="c", recipe="", contract_digest="", data_digest="", metrics={})
    assert registry.verify("champion").number == 1


def test_orphans_are_swept_and_neighbours_left_alone(registry, register):
    version = register()
    artefacts = registry.home / "artefacts"
    for orphan in ("customers/2", "other/7", "customers/.2.copy"):
        (artefacts / orphan).mkdir(parents=True)
        (artefacts / orphan / "half").write_text("")
    (artefacts / "customers" / "notes").mkdir()
    assert register().number == 2
    left = sorted(path.relative_to(artefacts).as_posix() for path in artefacts.glob("*/*"))
    assert left == ["customers/1", "customers/2", "customers/notes"]
    assert version.path.is_dir()
    registry.verify("2")


def test_staging_of_a_killed_training_goes_with_the_next_and_a_living_one_s_stays(registry, register):
    with registry.staging() as alive:
        dead = registry.home / "staging" / "dead_0ne"
        dead.mkdir()
        (dead / "half").write_text("")
        register()
        assert alive.is_dir()
        assert not dead.exists()


def test_a_staged_folder_on_another_disk_is_copied(registry, register, monkeypatch):
    rename = Path.rename

    def far(self, target):
        if "staging" in self.parts and "artefacts" in Path(target).parts:
            raise OSError(EXDEV, "other disk")
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", far)
    version = register()
    registry.verify("1")
    assert [path.name for path in version.path.parent.iterdir()] == ["1"]


def test_many_at_once_all_get_a_number_of_their_own(registry, register, fake_verify):
    others = [Registry(registry.home, verify=fake_verify) for _ in range(4)]
    with ThreadPoolExecutor(4) as pool:
        numbers = list(pool.map(lambda one: register(one).number, others * 3))
    assert sorted(numbers) == list(range(1, 13))
    for version in registry.list():
        registry.verify(version.label)
    for one in others:
        one.close()


@pytest.mark.parametrize("kind", ["sqlite"], indirect=True)
def test_a_database_that_fails_is_a_store_error(registry, register):
    register()
    registry.close()
    (registry.home / "holdfast.db").write_bytes(b"rubbish" * 1000)
    for rest in registry.home.glob("holdfast.db-*"):
        rest.unlink()
    with pytest.raises(StoreError):
        registry.list()


def test_each_change_is_audited_in_the_name_of_who_made_it(registry, register, fake_verify):
    register()
    register()
    ana = Registry(registry.home, actor="cli:ana", verify=fake_verify)
    ana.promote("2")
    ana.promote("2")
    ana.rollback()
    said = [(one.actor, one.action, one.subject, one.detail) for one in reversed(entries(ana.engine))]
    assert said == [
        ("python", "models.register", "v1", {"slot": "champion"}),
        ("python", "models.register", "v2", {"slot": "challenger"}),
        ("cli:ana", "models.promote", "v2", {"before": 1}),
        ("cli:ana", "models.rollback", "v1", {"before": 2}),
    ]
    assert verify(ana.engine).sound
    ana.close()


def test_many_promotions_and_rollbacks_at_once_leave_one_champion_and_a_sound_trail(
    registry, register, fake_verify
):
    for _ in range(3):
        register()
    others = [Registry(registry.home, verify=fake_verify) for _ in range(4)]

    def change(step):
        one, number = others[step % 4], step % 3 + 1
        with suppress(UnknownVersionError):  # no earlier champion
            one.promote(str(number)) if step % 2 else one.rollback()

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(change, range(40)))
    assert list(statuses(registry).values()).count("champion") == 1
    assert verify(registry.engine).sound
    for one in others:
        one.close()


def test_threads_that_need_the_database_at_once_open_it_once(registry):
    together = Barrier(8)

    def need(_):
        together.wait()
        return registry.engine

    with ThreadPoolExecutor(8) as pool:
        assert len(set(pool.map(need, range(8)))) == 1


@pytest.mark.parametrize("kind", ["sqlite"], indirect=True)
def test_another_database_does_not_sweep_the_files_that_this_home_s_own_knows(
    registry, register, fake_verify, switch_to_postgres
):
    register()
    switch_to_postgres()
    elsewhere = Registry(registry.home, verify=fake_verify)
    with pytest.raises(RegistryError, match="does not know"):
        register(elsewhere)
    elsewhere.close()
    registry.verify("v1")
