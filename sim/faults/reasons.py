"""Why a fault changed nothing, and what would help: by a key, so that reports can say it in their language, and in English."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

REASONS: dict[str, str] = {  # how each is told in English, the cure after a semicolon
    "never followed": "its time never came: it follows the end of '{fault}'; let that one end sooner, or give it an `at`",
    "never within": "its schedule has no time within the run's {seconds} s; let it come sooner, or the run last longer",
    "never reached": "the run was over at {seconds} s, before its time came; let it come sooner",
    "met nothing": "it met nothing while it was on; let it last longer, or aim at something else",
    "nobody": "nothing in the system fits its target; aim at something that is there",
    "no instance meanwhile": "there was no instance '{name}' while it was on; aim at its service, or at another time",
    "no instance at first": "there was no instance '{name}' as it began; aim at its service, or at another time",
    "nobody by chance": "chance picked none of the {number} that fit its target; raise `value`, or write `mode: one`",
    "all down": "all that fit its target were down already; let it come when they run, or aim at others",
    "took no requests": "{where} took no requests anyhow; let it come when they do, or aim at others",
    "down cannot pause": "{where} was down as it began, and what is down cannot stand still; let it come when it runs",
    "cache empty": "{cache} held nothing that it could have forgotten; let it come when it is in use",
    "cache roomy": "{cache} never held more than the room it was left; lower `share`",
    "nothing asked": "nobody asked anything of {where} while it was on; aim at what is in use, or let it last longer",
    "no load": "{loads} sent nothing while it was on; let it come when there is a load",
    "nobody waited": "nobody at {where} had to wait for what it took; take more",
    "memory calm":
        "the memory of {where} was neither collected nor full while it was on; let it last longer, or raise "
        "`leak`, or lower `gc_interval`",
    "no new connection":
        "{where} made no new connection while it was on, and what is connected goes on; write "
        "`drop_connections: true`, or let it last longer than `max_connection_age`",
    "no calendar":
        "{where} did nothing by the calendar while it was on; aim at a service with `code`, a cache with a "
        "`ttl`, or sidecars of certificates that end within the `offset`",
    "nobody wrote": "nobody wrote to {database} while it was on; let it last longer, or come when somebody writes",
    "registry calm":
        "nothing changed in the registry while it was on; let instances come and go meanwhile, for example by an `instance.kill`",
    "no such consumer": "nobody takes messages of {broker} by that name; name a `consumer` that does, or none",
    "not heard": "no instance of {service} heard of it while it was on; let it last longer than its `config_updates` take",
    "neutral": "its `{severity}` of {value} changes nothing; give it another",
    "no request by chance": "of {number} requests to {where} chance hit none (probability {share}%); raise it, or let it last longer",
    "below rate": "the {number} requests to {where} stayed below its `rate`; lower it",
    "no request fitted": "no request to {where} fitted `match` while it was on; let it fit what is asked for there",
    "no request": "no request to {where} came while it was on; aim at what is in use, or let it last longer",
    "no message by chance": "of {number} messages chance hit none; raise `probability`, or let it last longer",
    "no message on link by chance": "of {number} messages {ways} chance hit none; raise the probability, or let it last longer",
    "within burst": "all {number} messages {ways} went within its `burst`; lower it",
    "no message on link":
        "no message went {ways} while it was on, or other faults took them all; aim at a link that is in use, or let it last longer",
    "no message": "no message went {ways} while it was on; let it last longer, or come when there are any",
    "answers doubled": "it doubled {number} answers and no request, and a caller takes the first answer that comes; write "
                       "`direction: to`",
    "no message fitted": "no message {ways} fitted `match` while it was on; let it fit what is asked for there",
    "no acknowledgement by chance": "of {number} acknowledgements chance hit none; raise `probability`, or let it last longer",
    "no acknowledgement": "nobody acknowledged a message of {broker}; let it last longer, or come when there are any",
    "no message on subject": "no message on {subject} was published while it was on; name another `subject`, or let it last longer",
    "other deployment": "another deployment was under way while it was on; let it last longer, or come when that one is done",
    "no lock needed": "no statement at {where} needed what it had locked; raise `share`, or let it last longer",
}


@dataclass(frozen=True)
class Reason:
    """One of REASONS with what there is to fill in; as text it is English."""

    key: str
    values: Mapping[str, object]

    def __str__(self) -> str:
        return REASONS[self.key].format(**self.values)


def because(key: str, **values: object) -> Reason:
    """A reason, to be returned: `because("no load", loads="shoppers")`."""
    return Reason(key, values)
