"""Loads the configuration: defaults < files < environment < flags, each value with its origin.

Our own TOML is strict (an unknown key is an error); the specification's JSON shapes are lenient (a warning).
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from qautlra.base.errors import ConfigError
from qautlra.base.limits import CONFIG_TEXT_BYTES
from qautlra.config import compat, compat_trader, listen, schema
from qautlra.config.tree import Config

_ENV_PREFIX = "QAUTLRA__"
_OWN_FILE = "qautlra.toml"
_GATEWAY_FILES = ("config.json", "qamdgateway.json")


class Loaded:
    """A configuration, the origin of every value that is not a default, and what was noticed."""

    def __init__(
        self,
        config: Config,
        values: dict[str, Any],
        origins: dict[str, str],
        endpoints: list[listen.Endpoint],
        warnings: list[str],
        files: list[str],
    ) -> None:
        self.config = config
        self.values = values
        self.origins = origins
        self.endpoints = endpoints
        self.warnings = warnings
        self.files = files

    def origin(self, key: str) -> str:
        """Return where `key`'s value comes from: `default`, a file, `environment X`, `flag --x`."""
        return self.origins.get(key, "default")

    def rows(self) -> list[tuple[str, Any, str]]:
        """Return (key, value, origin) of every key, section by section, secrets masked."""
        found: list[tuple[str, Any, str]] = []
        for key, leaf in schema.leaves().items():
            if "*" in key:
                head, tail = key.split("*")
                named = [name for name in self.values if name.startswith(head) and name.endswith(tail)]
                found += [(name, schema.shown(self.values[name]), self.origin(name)) for name in named]
            else:
                found.append((key, schema.shown(self.values.get(key, leaf.default)), self.origin(key)))
        order = {
            section: place for place, section in enumerate(dict.fromkeys(_section(k) for k, _, _ in found))
        }
        return sorted(found, key=lambda row: order[_section(row[0])])


def _section(key: str) -> str:
    return key.rpartition(".")[0]


class _Layers:
    """Collects checked values; a later `put` takes the place of an earlier one."""

    def __init__(self) -> None:
        self.values: dict[str, Any] = {}
        self.origins: dict[str, str] = {}
        self.warnings: list[str] = []
        self.files: list[str] = []
        self.shapes: set[str] = set()
        self.addresses: list[tuple[str, int, str]] = []
        self.also: list[tuple[str, int, str]] = []

    def put(self, key: str, value: Any, origin: str, *, text: bool) -> None:
        leaf = schema.find(key)
        if leaf is None:
            if schema.is_later(key):
                self.warnings.append(f"{origin}: {key} belongs to a part that is not in this build")
                return
            raise schema.unknown(key, value, origin)
        self.values[key] = schema.check(leaf, key, value, origin, text=text)
        self.origins[key] = origin
        if key == "net.listen":
            self.addresses.clear()

    def put_reading(self, reading: compat.Reading, *, text: bool) -> None:
        for key, (value, origin) in reading.settings.items():
            self.put(key, value, origin, text=text and isinstance(value, str))
        if reading.listen:
            self.values.pop("net.listen", None)
            self.origins.pop("net.listen", None)
            self.addresses += reading.listen
        self.also += reading.also
        self.warnings += reading.warnings

    def put_tree(self, data: Mapping[str, Any], origin: str, prefix: str = "") -> None:
        for name, value in data.items():
            key = prefix + name
            if schema.find(key) is None and isinstance(value, Mapping):
                if not value and not schema.is_later(key + "."):
                    continue
                self.put_tree(value, origin, key + ".")
            else:
                self.put(key, value, origin, text=False)


def load(
    *,
    files: Sequence[str | Path] = (),
    env: Mapping[str, str] | None = None,
    cwd: str | Path = ".",
    sets: Sequence[str] = (),
    flags: Mapping[str, tuple[Any, str]] | None = None,
    discover: bool = True,
    readings: Sequence[compat.Reading] = (),
) -> Loaded:
    """Return the configuration in force, or raise the first ConfigError.

    `sets` are `a.b=value` texts; `flags` maps keys to (value, flag's name), with `net.listen.host|port` for
    `--host` and `--port`; `discover=False` looks for no files beyond `files`; `readings` are flags of a
    foreign command line, in force before `sets`.
    """
    env = os.environ if env is None else env
    flags = flags or {}
    layers = _Layers()
    for text, origin, named in _sources(layers, files, env, Path(cwd), flags, discover):
        _read_text(layers, text, origin, named=named)
    layers.put_reading(compat.read_environment(env), text=True)
    for name in sorted(env):
        if name.startswith(_ENV_PREFIX):
            key = name[len(_ENV_PREFIX) :].lower().replace("__", ".")
            layers.put(key, env[name], f"environment {name}", text=True)
    for reading in readings:
        layers.put_reading(reading, text=True)
    for item in sets:
        key, equals, value = item.partition("=")
        if not equals:
            raise ConfigError(
                "not of the form key=value", key="--set", value=item, expected="--set a.b=value"
            )
        layers.put(key.strip(), value, f"--set {key.strip()}", text=True)
    for key, (value, flag) in flags.items():
        if not key.startswith("net.listen."):
            layers.put(key, value, f"flag {flag}", text=isinstance(value, str))
    config = schema.build(layers.values)
    endpoints = _endpoints(layers, config, flags)
    layers.values["net.listen"] = [endpoint.text for endpoint in endpoints]
    config = schema.build(layers.values)
    return Loaded(config, layers.values, layers.origins, endpoints, layers.warnings, layers.files)


def _sources(
    layers: _Layers,
    files: Sequence[str | Path],
    env: Mapping[str, str],
    cwd: Path,
    flags: Mapping[str, tuple[Any, str]],
    discover: bool,
) -> list[tuple[str, str, bool]]:
    """Return (text, origin, named by the user) of the files and texts to read, weakest first."""
    named = [(_read_file(cwd / file, "flag --config"), str(file), True) for file in files]
    layers.files += [origin for _, origin, _ in named]
    found: list[tuple[str, str, bool]] = []
    if "QAMDGATEWAY_CONFIG" in env:
        found.append((env["QAMDGATEWAY_CONFIG"], "environment QAMDGATEWAY_CONFIG", True))
    elif env.get("QAMDGATEWAY_CONFIG_PATH"):
        path = env["QAMDGATEWAY_CONFIG_PATH"]
        found.append((_read_file(cwd / path, "environment QAMDGATEWAY_CONFIG_PATH"), path, True))
        layers.files.append(path)
    if named or not discover:
        return found + named
    kinds = flags.get("source.kinds", ([], ""))[0]
    nicks = {"tencent": "qq"}
    variants = [f"config_{nicks.get(kind, kind)}.json" for kind in kinds if kind not in ("sim", "replay")]
    if not found:
        for name in (*variants, *_GATEWAY_FILES):
            if (cwd / name).is_file():
                found.append((_read_file(cwd / name, "the working directory"), name, False))
                layers.files.append(name)
                break
    base = env.get("XDG_CONFIG_HOME") or (f"{env['HOME']}/.config" if env.get("HOME") else "")
    for own in (cwd / _OWN_FILE, Path(base) / "qautlra" / _OWN_FILE if base else None):
        if own is not None and own.is_file():
            found.append((_read_file(own, "the working directory"), str(own), False))
            layers.files.append(str(own))
            break
    return found


def _read_file(path: Path, why: str) -> str:
    try:
        with path.open("rb") as file:
            data = file.read(CONFIG_TEXT_BYTES + 1)
    except OSError as error:
        raise ConfigError(
            f"cannot read {path}: {error.strerror}", origin=why, expected="a readable file"
        ) from None
    if len(data) > CONFIG_TEXT_BYTES:
        raise ConfigError(f"{path} is larger than {CONFIG_TEXT_BYTES} bytes", origin=why)
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path} is not UTF-8: {error}", origin=why) from None


def _read_text(layers: _Layers, text: str, origin: str, *, named: bool) -> None:
    data = _decode(text, origin)
    shape = compat_trader.TRADER if compat_trader.is_trader(data) else compat.detect(data)
    if shape == compat_trader.TRADER:
        layers.put_reading(compat_trader.read_trader(data, origin), text=False)
    elif shape == compat.GATEWAY:
        layers.put_reading(compat.read_gateway(data, origin), text=False)
    elif shape == compat.QADB:
        layers.put_reading(compat.read_qadb(data, origin), text=False)
    elif shape == compat.TREE or (not data and origin.endswith(".toml")):
        layers.put_tree(data, origin)
    elif named or origin.endswith(".toml"):
        other = compat.other_shape(data)
        if other:
            raise ConfigError(f"{origin} is {other}; that part is not in this build", origin=origin)
        first = next(iter(data), "")
        if first:
            raise schema.unknown(
                str(first), data[first] if not isinstance(data[first], Mapping) else None, origin
            )
        raise ConfigError(f"{origin} holds no settings", origin=origin)
    else:
        layers.warnings.append(f"{origin} in the working directory is not a configuration of ours; ignored")
        layers.files.remove(origin)
        return
    layers.shapes.add(str(shape))


def _decode(text: str, origin: str) -> Mapping[str, Any]:
    try:
        is_json = text.lstrip().startswith("{") or origin.endswith(".json")
        data = msgspec.json.decode(text) if is_json else tomllib.loads(text)
    except (msgspec.DecodeError, tomllib.TOMLDecodeError, RecursionError) as error:
        raise ConfigError(f"cannot be read: {error}", key=origin, expected="TOML, or JSON") from None
    if not isinstance(data, Mapping):
        raise ConfigError("holds no named settings", key=origin, expected="an object of settings")
    return data


def _endpoints(
    layers: _Layers, config: Config, flags: Mapping[str, tuple[Any, str]]
) -> list[listen.Endpoint]:
    allow = config.net.allow_remote
    host, _ = flags.get("net.listen.host", (None, ""))
    port, _ = flags.get("net.listen.port", (None, ""))
    if port is not None:
        layers.origins["net.listen"] = "flag --port"
        text = listen.join(host or "127.0.0.1", port)
        return listen.endpoints([text], "flag --port", allow_remote=allow)
    if layers.addresses:
        origin = ", ".join(dict.fromkeys(origin for _, _, origin in layers.addresses))
        layers.origins["net.listen"] = origin
        found = _narrowed(layers, layers.addresses, allow)
        sample = listen.Endpoint(
            "127.0.0.1", compat.QUERY_SAMPLE_PORT, False, "the specification's query sample"
        )
        if (sample.host, sample.port) not in [(item.host, item.port) for item in found]:
            found.append(sample)
    else:
        origin = layers.origins.get("net.listen", "default")
        found = listen.endpoints(config.net.listen, origin, allow_remote=allow)
        if host is not None:
            layers.origins["net.listen"] = "flag --host"
            (first,) = listen.endpoints([listen.join(host, 0)], "flag --host", allow_remote=allow)
            found = [item._replace(host=first.host, origin="flag --host") for item in found]
    known = {(item.host, item.port) for item in found}
    return found + [e for e in _narrowed(layers, layers.also, allow) if (e.host, e.port) not in known]


def _narrowed(
    layers: _Layers, addresses: Sequence[tuple[str, int, str]], allow_remote: bool
) -> list[listen.Endpoint]:
    """Return endpoints for addresses of foreign settings, on loopback unless remote ones are allowed."""
    found: dict[tuple[str, int], listen.Endpoint] = {}
    for host, port, origin in addresses:
        local = "127.0.0.1" if host == "localhost" else host
        if not listen.is_loopback(local) and not allow_remote:
            layers.warnings.append(
                f"{origin}: {host}:{port} could be reached from other machines; "
                f"listening on 127.0.0.1:{port} instead (net.allow_remote=true means it)"
            )
            local = "127.0.0.1"
        (endpoint,) = listen.endpoints([listen.join(local, port)], origin, allow_remote=True)
        found.setdefault((endpoint.host, endpoint.port), endpoint)
    return list(found.values())
