"""Who may speak to whom, computed from rendered NetworkPolicies as Kubernetes defines them.

Between two pods both sides have to agree: what leaves one, and what enters the other. A side is open unless a
policy selects its pod for that direction; then it is closed but for what some policy allows.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.deploy.rendered import Pod, Rendered

_NAMESPACE = "kubernetes.io/metadata.name"
_SIDES = {"Ingress": ("ingress", "from"), "Egress": ("egress", "to")}


@dataclass(frozen=True)
class Peer:
    """A pod: of the chart, or somebody else's."""

    name: str
    labels: Mapping[str, str]
    namespace: Mapping[str, str]
    ports: Mapping[int, str] = field(default_factory=dict)
    """Names of its ports."""


@dataclass(frozen=True)
class Port:
    """Where a connection goes."""

    number: int
    protocol: str = "TCP"


@dataclass(frozen=True)
class Network:
    """The policies of one namespace."""

    policies: tuple[dict[str, Any], ...]
    namespace: Mapping[str, str]

    @classmethod
    def of(cls, rendered: Rendered, namespace: str = "pictures") -> Network:
        """The policies of what was rendered for that namespace."""
        return cls(tuple(rendered.of("NetworkPolicy")), {_NAMESPACE: namespace})

    def peer(self, pod: Pod) -> Peer:
        """A pod of the namespace."""
        ports = {
            port["containerPort"]: port.get("name", "")
            for container in pod.containers()
            for port in container.spec.get("ports", ())
        }
        return Peer(pod.component, pod.labels, self.namespace, ports)

    def reaches(self, source: Peer | None, target: Peer | None, port: Port) -> bool:
        """Whether a connection comes to be. None: whoever is outside the cluster."""
        return (source is None or self._open("Egress", source, target, port, target)) and (
            target is None or self._open("Ingress", target, source, port, target)
        )

    def _open(self, direction: str, own: Peer, other: Peer | None, port: Port, at: Peer | None) -> bool:
        ours = [one["spec"] for one in self._selecting(own, direction)]
        rules, side = _SIDES[direction]
        return not ours or any(
            _fits(rule.get(side), other, self.namespace) and _has_port(rule.get("ports"), port, at)
            for spec in ours
            for rule in spec.get(rules) or ()
        )

    def _selecting(self, peer: Peer, direction: str) -> Iterator[dict[str, Any]]:
        if peer.namespace != self.namespace:
            return
        for one in self.policies:
            spec = one["spec"]
            if direction in spec["policyTypes"] and matches(spec["podSelector"], peer.labels):
                yield one


def matches(selector: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    """Whether a label selector takes these labels; an empty one takes all."""
    known = {"matchLabels", "matchExpressions"}
    assert set(selector) <= known, f"unknown: {set(selector) - known}"
    wanted = selector.get("matchLabels") or {}
    return all(labels.get(key) == value for key, value in wanted.items()) and all(
        _expression(one, labels) for one in selector.get("matchExpressions") or ()
    )


def _expression(one: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    value, operator = labels.get(one["key"]), one["operator"]
    if operator == "In":
        return value in one["values"]
    if operator == "NotIn":
        return value not in one["values"]
    assert operator in {"Exists", "DoesNotExist"}, operator
    return (value is not None) == (operator == "Exists")


def _fits(peers: list[dict[str, Any]] | None, other: Peer | None, here: Mapping[str, str]) -> bool:
    # No list of peers means everybody, in the cluster and out of it.
    return not peers or any(_is(one, other, here) for one in peers)


def _is(one: Mapping[str, Any], other: Peer | None, here: Mapping[str, str]) -> bool:
    if "ipBlock" in one:
        # Addresses of pods are nobody's to know: a block is taken to mean the world outside.
        return other is None
    if other is None:
        return False
    if "namespaceSelector" in one:
        return matches(one["namespaceSelector"], other.namespace) and matches(
            one.get("podSelector") or {}, other.labels
        )
    return other.namespace == here and matches(one["podSelector"], other.labels)


def _has_port(ports: list[dict[str, Any]] | None, wanted: Port, at: Peer | None) -> bool:
    names = {wanted.number} | ({at.ports.get(wanted.number)} if at else set())
    return not ports or any(
        one.get("protocol", "TCP") == wanted.protocol and ("port" not in one or one["port"] in names)
        for one in ports
    )
