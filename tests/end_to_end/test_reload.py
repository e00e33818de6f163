import signal
from pathlib import Path
from typing import Any

from end_to_end.harness import Bench, Tenant, due, fresh

from rotator.emulator.faults.fault import Fault, Kind
from rotator.emulator.http.certificates import make_authority
from rotator.emulator.http.routes import Operation


def begin(bench: Bench, **settings: Any) -> None:
    keysets = (fresh("B2C_1A_One"), fresh("B2C_1A_Two"))
    bench.begin(Tenant(keysets=keysets), check_interval="1h", **settings)


def drop_last_keyset(bench: Bench) -> None:
    bench.content["tenants"][0]["keysets"].pop()
    bench.write()


def test_reload_at_sighup_takes_over_without_restart(bench: Bench) -> None:
    """SIGHUP makes a good configuration take over at once, metrics and rows included."""
    begin(bench)
    daemon = bench.start()
    daemon.log("sweep.finished")
    drop_last_keyset(bench)
    daemon.signal(signal.SIGHUP)
    assert daemon.log("config.reloaded")["keysets"] == 1
    daemon.log("sweep.finished", count=2)
    metrics = daemon.get("/metrics").text
    assert "B2C_1A_Two" not in metrics
    assert 'b2c_rotator_keyset_info{keyset="B2C_1A_One"' in metrics
    assert "B2C_1A_Two" not in daemon.get("/status.json").text
    assert daemon.stop().code == 0


def test_reload_when_the_content_has_changed_needs_no_signal(bench: Bench, tmp_path: Path) -> None:
    """A file that is swapped by a link to its directory, as a ConfigMap is, is read again by itself."""
    begin(bench)
    versions = [tmp_path / name for name in ("..v1", "..v2")]
    for number, version in enumerate(versions, 1):
        version.mkdir()
        bench.content["check_interval"] = f"{number}h"
        bench.config = version / "rotator.yaml"
        bench.write()
    link, bench.config = tmp_path / "..data", tmp_path / "mounted.yaml"
    link.symlink_to(versions[0])
    bench.config.symlink_to(link / "rotator.yaml")
    daemon = bench.start()
    assert daemon.log("rotator.started")["check_interval"] == "1h"
    swapped = tmp_path / "..data_tmp"
    swapped.symlink_to(versions[1])
    swapped.replace(link)
    assert daemon.log("config.reloaded")["check_interval"] == "2h"
    assert "b2c_rotator_check_interval_seconds 7200.0" in daemon.get("/metrics").text
    assert daemon.stop().code == 0


def test_reload_when_the_authorities_have_changed(bench: Bench) -> None:
    """A bundle of authorities is read again where its content has changed, as the configuration is."""
    begin(bench)
    bundle = bench.folder / "bundle.pem"
    bundle.write_text(make_authority().certificate_pem)
    bench.content |= {"ca_file": str(bundle), "check_interval": "1h"}
    bench.write()
    daemon = bench.start()
    assert "is not trusted" in daemon.log("keyset.failed")["message"]
    bundle.write_text(bench.emulator.ca_file.read_text())
    daemon.log("config.reloaded")
    assert daemon.log("sweep.finished", count=2)["held"] == 2
    assert daemon.stop().code == 0


def test_reload_of_a_bad_file_changes_nothing(bench: Bench) -> None:
    """A bad configuration is refused as a whole, logged with each fault, counted, and the last good one goes on."""
    begin(bench)
    daemon = bench.start()
    daemon.log("sweep.finished")
    bench.content["settle"] = 5
    bench.content["tenants"][0]["keysets"][0]["rotate_every"] = "1d"
    bench.write()
    daemon.signal(signal.SIGHUP)
    rejected = daemon.log("config.rejected")
    assert [fault.partition(":")[0] for fault in rejected["faults"]] == ["settle", "tenants[0].keysets[0]"]
    metrics = daemon.get("/metrics").text
    assert "b2c_rotator_config_last_reload_successful 0.0" in metrics
    assert 'b2c_rotator_config_reloads_total{outcome="rejected"} 1.0' in metrics
    assert "b2c_rotator_keyset_info" in metrics
    bench.content["settle"] = "0s"
    del bench.content["tenants"][0]["keysets"][0]["rotate_every"]
    bench.write()
    daemon.signal(signal.SIGHUP)
    daemon.log("config.reloaded")
    assert "b2c_rotator_config_last_reload_successful 1.0" in daemon.get("/metrics").text
    assert daemon.stop().code == 0


def test_reload_of_a_value_that_is_none(bench: Bench) -> None:
    """Whatever is wrong with a file it is refused, and costs the daemon neither its signals nor its work."""
    begin(bench)
    daemon = bench.start()
    daemon.log("sweep.finished")
    good = bench.config.read_text()
    bench.config.write_text(good + "client_secret_expires: 2031-02-29\n")
    daemon.signal(signal.SIGHUP)
    (fault,) = daemon.log("config.rejected")["faults"]
    assert fault.endswith("not a valid timestamp")
    bench.config.write_text(good)
    daemon.signal(signal.SIGHUP)
    daemon.log("config.reloaded")
    assert daemon.stop().code == 0


def test_reload_says_what_needs_a_restart_until_there_is_one(bench: Bench) -> None:
    """A setting that is read at the start alone is named at each reload, while it is another one."""
    begin(bench)
    daemon = bench.start()
    for interval, port in (("2h", daemon.port), ("3h", daemon.port), ("4h", 0)):
        bench.content |= {"http": {"host": "127.0.0.1", "port": port}, "check_interval": interval}
        bench.write()
        daemon.signal(signal.SIGHUP)
        told = daemon.log("config.reloaded", check_interval=interval)
        assert told["restart_needed"] == (["http"] if port else [])
    assert daemon.stop().code == 0


def test_reload_keeps_what_is_due(bench: Bench) -> None:
    """A keyset that was called for in a first look keeps its place over a reload, and has its second look."""
    bench.begin(Tenant(keysets=(due("B2C_1A_One"), fresh("B2C_1A_Two"))), check_interval="1h", settle="3s")
    daemon = bench.start()
    planned = daemon.log("keyset.planned")
    drop_last_keyset(bench)
    daemon.signal(signal.SIGHUP)
    daemon.log("config.reloaded")
    rotated = daemon.log("keyset.rotated")
    assert (rotated["keyset"], rotated["nbf"]) == ("B2C_1A_One", planned["nbf"])
    assert len(bench.asked(Operation.GENERATE_KEY)) == 1
    assert daemon.stop().code == 0


def test_reload_to_observe_takes_the_right_to_write(bench: Bench) -> None:
    """A keyset that was called for is not rotated any more once the configuration says that it is only observed."""
    bench.begin(Tenant(keysets=(due("B2C_1A_One"),)), check_interval="1h", settle="4s")
    daemon = bench.start()
    daemon.log("keyset.planned")
    bench.content["tenants"][0]["keysets"][0]["mode"] = "observe"
    bench.write()
    daemon.signal(signal.SIGHUP)
    daemon.log("config.reloaded")
    daemon.log("sweep.finished", count=2)
    assert daemon.stop().code == 0
    assert bench.asked(Operation.GENERATE_KEY) == ()


def test_reload_without_the_tenant_takes_the_right_to_write(bench: Bench) -> None:
    """A keyset that was called for is not rotated any more once its tenant has left the configuration."""
    gone = Tenant(name="gone", keysets=(due("B2C_1A_Gone"),))
    bench.begin(Tenant(keysets=(due("B2C_1A_One"),)), gone, check_interval="1h", settle="4s")
    daemon = bench.start()
    daemon.log("keyset.planned", count=2)
    bench.content["tenants"].pop()
    bench.write()
    daemon.signal(signal.SIGHUP)
    daemon.log("keyset.rotated", tenant="contoso")
    assert daemon.stop().code == 0
    assert [seen.keyset for seen in bench.asked(Operation.GENERATE_KEY)] == ["B2C_1A_One"]


def test_reload_with_another_directory_of_the_same_name(bench: Bench) -> None:
    """Where a tenant_id is another one, the former directory gets no key, and the new one after two looks."""
    right = Tenant(name="right", keysets=(due("B2C_1A_One"),))
    wrong = Tenant(name="wrong", keysets=(due("B2C_1A_One"),))
    bench.begin(wrong, right, check_interval="1h", settle="4s")
    configured = bench.content["tenants"]
    (credential,) = (tenant["credential"] for tenant in configured if tenant["name"] == "right")
    del configured[1]
    bench.write()
    daemon = bench.start()
    first = daemon.log("keyset.planned")
    configured[0] |= {"tenant_id": right.domain, "credential": credential}
    bench.write()
    daemon.signal(signal.SIGHUP)
    second = daemon.log("keyset.planned", count=2)
    assert daemon.log("keyset.rotated")["tenant"] == first["tenant"] == second["tenant"] == "wrong"
    assert daemon.stop().code == 0
    (generate,) = bench.asked(Operation.GENERATE_KEY)
    assert generate.tenant == right.domain
    looks = [seen.time for seen in bench.asked(Operation.LIST_KEYSETS, tenant=right.domain)]
    assert generate.time >= looks[0] + 4


def test_reload_in_the_midst_of_a_look(bench: Bench) -> None:
    """A tenant that leaves while it is looked at leaves nothing behind; the next sweep comes at once."""
    gone = Tenant(name="gone", keysets=(fresh("B2C_1A_Gone"),))
    emulator = bench.begin(Tenant(keysets=(fresh(),)), gone, check_interval="1h")
    hang = emulator.inject(Fault(what=Kind.HANG, where=Operation.LIST_KEYSETS, tenant=gone.domain))
    daemon = bench.start()
    assert emulator.wait_for(Operation.LIST_KEYSETS, tenant=gone.domain)
    bench.content["tenants"].pop()
    bench.write()
    daemon.signal(signal.SIGHUP)
    daemon.log("config.reloaded")
    hang.release()
    swept = [daemon.log("sweep.finished", count=count) for count in (1, 2)]
    assert [(each["held"], each.get("late")) for each in swept] == [(2, None), (1, None)]
    assert daemon.events("job.missed") == []
    assert 'tenant="gone"' not in daemon.get("/metrics").text
    assert daemon.stop().code == 0
