"""
Every fault, at every request of a rotation, and what comes of it.

The table is the specification. Each of its lines is a tenant of its own with one
signing keyset, which is due; a fault strikes one kind of request there, `once` or
`always`, while the real program makes one pass (`--once`). What must come of it stands
beside it: outcome, exit code, reason, how often a key was asked for, and how many new
keys there are. Behind the bar is what the next pass comes to, without the fault, and
how many new keys there are then.

Whatever the line: in the end there is exactly one enabled successor with the right
dates, to the second; no key was asked for blindly; a failure is one line in the log.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import Any

import pytest
from end_to_end.harness import DAY, LIFE, Bench, Tenant, due
from faults.rig import blind_repeats, by_tenant, configure, lines_of, once, play_once, posts, rows_of, wait_for_all

from rotator.emulator.faults.fault import Fault, Kind, Moment
from rotator.emulator.http.routes import Operation
from rotator.emulator.journal import Seen, Stage
from rotator.emulator.model.switches import Status, Switches

KEYSET = "B2C_1A_Due"
GENERATE = Operation.GENERATE_KEY
AFTER = Moment.AFTER_COMMIT

TABLE = """\
at          fault                          times     outcome  exit  reason       POSTs  keys    next     keys

every       Date is 70 s off               always    rotated  0     renewal_due  1      1     | held     1
every       Date is 400 s off              always    failed   1     clock_skew   0      0     | rotated  1
every       Date is 400 s ahead            always    failed   1     clock_skew   0      0     | rotated  1

discovery   hangs                          once      rotated  0     renewal_due  1      1     | held     1
discovery   hangs                          always    failed   1     timeout      0      0     | rotated  1
discovery   slow                           always    rotated  0     renewal_due  1      1     | held     1
discovery   drips                          always    failed   1     timeout      0      0     | rotated  1
discovery   429                            once      rotated  0     renewal_due  1      1     | held     1
discovery   429                            always    failed   1     throttled    0      0     | rotated  1
discovery   500                            once      rotated  0     renewal_due  1      1     | held     1
discovery   502 with a page                always    failed   1     service      0      0     | rotated  1
discovery   503                            always    failed   1     service      0      0     | rotated  1
discovery   504                            once      rotated  0     renewal_due  1      1     | held     1
discovery   400                            always    failed   1     auth         0      0     | rotated  1
discovery   404                            always    failed   1     auth         0      0     | rotated  1
discovery   reset                          once      rotated  0     renewal_due  1      1     | held     1
discovery   reset                          always    failed   1     network      0      0     | rotated  1
discovery   closed                         once      rotated  0     renewal_due  1      1     | held     1
discovery   truncated                      once      rotated  0     renewal_due  1      1     | held     1
discovery   half of the JSON               always    failed   1     unreadable   0      0     | rotated  1
discovery   empty                          always    failed   1     unreadable   0      0     | rotated  1
discovery   a list                         always    failed   1     unreadable   0      0     | rotated  1
discovery   plain text                     always    failed   1     unreadable   0      0     | rotated  1
discovery   100 MB                         always    failed   1     unreadable   0      0     | rotated  1
discovery   gzip bomb                      always    failed   1     unreadable   0      0     | rotated  1
discovery   redirect                       always    failed   1     unreadable   0      0     | rotated  1
discovery   no token_endpoint              always    failed   1     unreadable   0      0     | rotated  1

token       hangs                          once      rotated  0     renewal_due  1      1     | held     1
token       hangs                          always    failed   1     timeout      0      0     | rotated  1
token       slow                           always    rotated  0     renewal_due  1      1     | held     1
token       drips                          always    failed   1     timeout      0      0     | rotated  1
token       429                            once      rotated  0     renewal_due  1      1     | held     1
token       429                            always    failed   1     throttled    0      0     | rotated  1
token       429, Retry-After 1 s           once      rotated  0     renewal_due  1      1     | held     1
token       429, Retry-After 1 h           once      failed   1     throttled    0      0     | rotated  1
token       500                            always    failed   1     service      0      0     | rotated  1
token       502 with a page                once      rotated  0     renewal_due  1      1     | held     1
token       503                            once      rotated  0     renewal_due  1      1     | held     1
token       504                            always    failed   1     service      0      0     | rotated  1
token       400                            always    failed   1     auth         0      0     | rotated  1
token       401                            always    failed   1     auth         0      0     | rotated  1
token       403                            always    failed   1     auth         0      0     | rotated  1
token       reset                          once      rotated  0     renewal_due  1      1     | held     1
token       reset, after commit            once      rotated  0     renewal_due  1      1     | held     1
token       closed                         always    failed   1     network      0      0     | rotated  1
token       truncated                      once      rotated  0     renewal_due  1      1     | held     1
token       half of the JSON               always    failed   1     unreadable   0      0     | rotated  1
token       empty                          always    failed   1     unreadable   0      0     | rotated  1
token       a list                         always    failed   1     unreadable   0      0     | rotated  1
token       plain text                     always    failed   1     unreadable   0      0     | rotated  1
token       100 MB                         always    failed   1     unreadable   0      0     | rotated  1
token       gzip bomb                      always    failed   1     unreadable   0      0     | rotated  1
token       redirect                       always    failed   1     unreadable   0      0     | rotated  1
token       no access_token                always    failed   1     unreadable   0      0     | rotated  1
token       no expires_in                  always    failed   1     unreadable   0      0     | rotated  1

list        hangs                          once      rotated  0     renewal_due  1      1     | held     1
list        hangs                          always    failed   1     timeout      0      0     | rotated  1
list        slow                           always    rotated  0     renewal_due  1      1     | held     1
list        drips                          always    failed   1     timeout      0      0     | rotated  1
list        429                            once      rotated  0     renewal_due  1      1     | held     1
list        429                            always    failed   1     throttled    0      0     | rotated  1
list        429, Retry-After 1 s           once      rotated  0     renewal_due  1      1     | held     1
list        429, Retry-After as a date     once      rotated  0     renewal_due  1      1     | held     1
list        429, Retry-After 1 h           once      failed   1     throttled    0      0     | rotated  1
list        429, Retry-After 300 years     once      rotated  0     renewal_due  1      1     | held     1
list        509                            always    failed   1     throttled    0      0     | rotated  1
list        AADB2C95043                    once      rotated  0     renewal_due  1      1     | held     1
list        500                            once      rotated  0     renewal_due  1      1     | held     1
list        500                            always    failed   1     service      0      0     | rotated  1
list        501                            once      failed   1     bad_request  0      0     | rotated  1
list        502 with a page                once      rotated  0     renewal_due  1      1     | held     1
list        503                            once      rotated  0     renewal_due  1      1     | held     1
list        503, Retry-After 1 h           once      failed   1     service      0      0     | rotated  1
list        504                            once      rotated  0     renewal_due  1      1     | held     1
list        AADB2C90063                    once      rotated  0     renewal_due  1      1     | held     1
list        AADB2C90035                    once      rotated  0     renewal_due  1      1     | held     1
list        400                            once      failed   1     bad_request  0      0     | rotated  1
list        400 without a code             once      failed   1     bad_request  0      0     | rotated  1
list        AADB2C99007                    once      failed   1     forbidden    0      0     | rotated  1
list        401                            once      rotated  0     renewal_due  1      1     | held     1
list        401                            always    failed   1     auth         0      0     | rotated  1
list        403                            once      failed   1     forbidden    0      0     | rotated  1
list        404                            once      failed   1     not_found    0      0     | rotated  1
list        408                            once      rotated  0     renewal_due  1      1     | held     1
list        409                            once      failed   1     conflict     0      0     | rotated  1
list        reset                          once      rotated  0     renewal_due  1      1     | held     1
list        reset                          always    failed   1     network      0      0     | rotated  1
list        closed                         once      rotated  0     renewal_due  1      1     | held     1
list        truncated                      once      rotated  0     renewal_due  1      1     | held     1
list        half of the JSON               once      failed   1     unreadable   0      0     | rotated  1
list        empty                          once      failed   1     unreadable   0      0     | rotated  1
list        a list                         once      failed   1     unreadable   0      0     | rotated  1
list        plain text                     once      failed   1     unreadable   0      0     | rotated  1
list        100 MB                         once      failed   1     unreadable   0      0     | rotated  1
list        gzip bomb                      once      failed   1     unreadable   0      0     | rotated  1
list        redirect                       once      failed   1     unreadable   0      0     | rotated  1
list        no value                       once      failed   1     unreadable   0      0     | rotated  1
list        nbf is a text                  once      failed   1     unreadable   0      0     | rotated  1
list        no kid                         always    rotated  0     renewal_due  1      1     | held     1
list        next link abroad               once      failed   1     unreadable   0      0     | rotated  1
list        next link loops                always    failed   1     unreadable   0      0     | rotated  1
list        next link is http              once      failed   1     unreadable   0      0     | rotated  1

look again  hangs                          once      rotated  0     renewal_due  1      1     | held     1
look again  hangs                          always    failed   1     timeout      0      0     | rotated  1
look again  slow                           always    rotated  0     renewal_due  1      1     | held     1
look again  drips                          always    failed   1     timeout      0      0     | rotated  1
look again  429                            once      rotated  0     renewal_due  1      1     | held     1
look again  429                            always    failed   1     throttled    0      0     | rotated  1
look again  429, Retry-After 1 s           once      rotated  0     renewal_due  1      1     | held     1
look again  429, Retry-After as a date     once      rotated  0     renewal_due  1      1     | held     1
look again  429, Retry-After 1 h           once      failed   1     throttled    0      0     | rotated  1
look again  509                            once      rotated  0     renewal_due  1      1     | held     1
look again  AADB2C95043                    always    failed   1     throttled    0      0     | rotated  1
look again  500                            once      rotated  0     renewal_due  1      1     | held     1
look again  502 with a page                always    failed   1     service      0      0     | rotated  1
look again  503                            once      rotated  0     renewal_due  1      1     | held     1
look again  503                            always    failed   1     service      0      0     | rotated  1
look again  504                            once      rotated  0     renewal_due  1      1     | held     1
look again  AADB2C90063                    always    failed   1     service      0      0     | rotated  1
look again  400                            once      failed   1     bad_request  0      0     | rotated  1
look again  AADB2C90073                    once      failed   1     not_found    0      0     | rotated  1
look again  401                            once      rotated  0     renewal_due  1      1     | held     1
look again  401                            always    failed   1     auth         0      0     | rotated  1
look again  403                            once      failed   1     forbidden    0      0     | rotated  1
look again  404                            once      failed   1     not_found    0      0     | rotated  1
look again  AADB2C95053                    once      failed   1     conflict     0      0     | rotated  1
look again  reset                          once      rotated  0     renewal_due  1      1     | held     1
look again  reset                          always    failed   1     network      0      0     | rotated  1
look again  closed                         once      rotated  0     renewal_due  1      1     | held     1
look again  truncated                      once      rotated  0     renewal_due  1      1     | held     1
look again  half of the JSON               once      failed   1     unreadable   0      0     | rotated  1
look again  empty                          once      failed   1     unreadable   0      0     | rotated  1
look again  a list                         once      failed   1     unreadable   0      0     | rotated  1
look again  plain text                     once      failed   1     unreadable   0      0     | rotated  1
look again  100 MB                         once      failed   1     unreadable   0      0     | rotated  1
look again  gzip bomb                      once      failed   1     unreadable   0      0     | rotated  1
look again  redirect                       once      failed   1     unreadable   0      0     | rotated  1
look again  nbf is a text                  once      failed   1     unreadable   0      0     | rotated  1
look again  no keys                        once      failed   1     unreadable   0      0     | rotated  1
look again  no kid                         once      rotated  0     renewal_due  1      1     | held     1

ask         hangs                          once      failed   1     timeout      1      0     | rotated  1
ask         hangs, after commit            once      rotated  0     renewal_due  1      1     | held     1
ask         slow                           once      rotated  0     renewal_due  1      1     | held     1
ask         slow, done after we gave up    once      failed   1     timeout      1      1     | held     1
ask         drips                          once      rotated  0     renewal_due  1      1     | held     1
ask         429                            once      rotated  0     renewal_due  2      1     | held     1
ask         429                            always    failed   1     throttled    4      0     | rotated  1
ask         429, after commit              once      held     0     not_due      1      1     | held     1
ask         429, Retry-After 1 s           once      rotated  0     renewal_due  2      1     | held     1
ask         429, Retry-After as a date     once      rotated  0     renewal_due  2      1     | held     1
ask         429, Retry-After 1 h           once      failed   1     throttled    1      0     | rotated  1
ask         429, Retry-After 300 years     once      rotated  0     renewal_due  2      1     | held     1
ask         509                            once      rotated  0     renewal_due  2      1     | held     1
ask         AADB2C95043                    once      rotated  0     renewal_due  2      1     | held     1
ask         500                            once      failed   1     service      1      0     | rotated  1
ask         500, after commit              once      rotated  0     renewal_due  1      1     | held     1
ask         501                            once      failed   1     bad_request  1      0     | rotated  1
ask         502 with a page                once      failed   1     service      1      0     | rotated  1
ask         502 with a page, after commit  once      rotated  0     renewal_due  1      1     | held     1
ask         503                            once      failed   1     service      1      0     | rotated  1
ask         503, Retry-After 1 h           once      failed   1     service      1      0     | rotated  1
ask         503, after commit              once      rotated  0     renewal_due  1      1     | held     1
ask         504                            once      failed   1     service      1      0     | rotated  1
ask         504, after commit              once      rotated  0     renewal_due  1      1     | held     1
ask         AADB2C90063                    once      failed   1     service      1      0     | rotated  1
ask         AADB2C90063, after commit      once      rotated  0     renewal_due  1      1     | held     1
ask         AADB2C90035                    once      failed   1     service      1      0     | rotated  1
ask         400                            once      failed   1     bad_request  1      0     | rotated  1
ask         400 without a code             once      failed   1     bad_request  1      0     | rotated  1
ask         400, after commit              once      failed   1     bad_request  1      1     | held     1
ask         AADB2C95032                    once      failed   1     bad_request  1      0     | rotated  1
ask         AADB2C90073                    once      failed   1     not_found    1      0     | rotated  1
ask         AADB2C99007                    once      failed   1     forbidden    1      0     | rotated  1
ask         401                            once      rotated  0     renewal_due  2      1     | held     1
ask         401                            always    failed   1     auth         2      0     | rotated  1
ask         403                            once      failed   1     forbidden    1      0     | rotated  1
ask         404                            once      failed   1     not_found    1      0     | rotated  1
ask         405                            once      failed   1     bad_request  1      0     | rotated  1
ask         408                            once      failed   1     timeout      1      0     | rotated  1
ask         408, after commit              once      rotated  0     renewal_due  1      1     | held     1
ask         409                            once      rotated  0     renewal_due  2      1     | held     1
ask         409                            always    failed   1     conflict     4      0     | rotated  1
ask         409, after commit              once      held     0     not_due      1      1     | held     1
ask         412                            once      rotated  0     renewal_due  2      1     | held     1
ask         423                            once      rotated  0     renewal_due  2      1     | held     1
ask         AADB2C95053                    once      rotated  0     renewal_due  2      1     | held     1
ask         reset                          once      failed   1     network      1      0     | rotated  1
ask         reset, after commit            once      rotated  0     renewal_due  1      1     | held     1
ask         closed                         once      failed   1     network      1      0     | rotated  1
ask         closed, after commit           once      rotated  0     renewal_due  1      1     | held     1
ask         truncated                      once      rotated  0     renewal_due  1      1     | held     1
ask         half of the JSON               once      rotated  0     renewal_due  1      1     | held     1
ask         empty                          once      failed   1     unreadable   1      0     | rotated  1
ask         empty, after commit            once      rotated  0     renewal_due  1      1     | held     1
ask         a list                         once      failed   1     unreadable   1      0     | rotated  1
ask         a list, after commit           once      rotated  0     renewal_due  1      1     | held     1
ask         plain text                     once      failed   1     unreadable   1      0     | rotated  1
ask         plain text, after commit       once      rotated  0     renewal_due  1      1     | held     1
ask         100 MB                         once      failed   1     unreadable   1      0     | rotated  1
ask         100 MB, after commit           once      rotated  0     renewal_due  1      1     | held     1
ask         gzip bomb                      once      failed   1     unreadable   1      0     | rotated  1
ask         gzip bomb, after commit        once      rotated  0     renewal_due  1      1     | held     1
ask         redirect                       once      failed   1     unreadable   1      0     | rotated  1
ask         redirect, after commit         once      rotated  0     renewal_due  1      1     | held     1
ask         no kid                         once      rotated  0     renewal_due  1      1     | held     1
ask         another kid                    once      failed   1     unconfirmed  1      1     | held     1
ask         nbf is a text                  once      rotated  0     renewal_due  1      1     | held     1
ask         lost                           once      failed   1     unconfirmed  1      0     | rotated  1
ask         dates 200 days later           once      failed   1     mismatch     1      1     | rotated  2

read back   hangs                          once      rotated  0     renewal_due  1      1     | held     1
read back   hangs                          always    failed   1     unconfirmed  1      1     | held     1
read back   slow                           always    rotated  0     renewal_due  1      1     | held     1
read back   drips                          always    failed   1     unconfirmed  1      1     | held     1
read back   429                            once      rotated  0     renewal_due  1      1     | held     1
read back   429                            always    failed   1     unconfirmed  1      1     | held     1
read back   429, Retry-After 1 h           always    failed   1     unconfirmed  1      1     | held     1
read back   AADB2C95043                    once      rotated  0     renewal_due  1      1     | held     1
read back   500                            once      rotated  0     renewal_due  1      1     | held     1
read back   502 with a page                once      rotated  0     renewal_due  1      1     | held     1
read back   503                            always    failed   1     unconfirmed  1      1     | held     1
read back   504                            once      rotated  0     renewal_due  1      1     | held     1
read back   AADB2C90063                    once      rotated  0     renewal_due  1      1     | held     1
read back   400                            once      rotated  0     renewal_due  1      1     | held     1
read back   AADB2C90073                    once      rotated  0     renewal_due  1      1     | held     1
read back   401                            once      rotated  0     renewal_due  1      1     | held     1
read back   401                            always    failed   1     unconfirmed  1      1     | held     1
read back   403                            always    failed   1     unconfirmed  1      1     | held     1
read back   404                            once      rotated  0     renewal_due  1      1     | held     1
read back   AADB2C95053                    once      rotated  0     renewal_due  1      1     | held     1
read back   reset                          once      rotated  0     renewal_due  1      1     | held     1
read back   reset                          always    failed   1     unconfirmed  1      1     | held     1
read back   closed                         once      rotated  0     renewal_due  1      1     | held     1
read back   truncated                      once      rotated  0     renewal_due  1      1     | held     1
read back   half of the JSON               once      rotated  0     renewal_due  1      1     | held     1
read back   empty                          once      rotated  0     renewal_due  1      1     | held     1
read back   a list                         once      rotated  0     renewal_due  1      1     | held     1
read back   plain text                     always    failed   1     unconfirmed  1      1     | held     1
read back   100 MB                         once      rotated  0     renewal_due  1      1     | held     1
read back   gzip bomb                      once      rotated  0     renewal_due  1      1     | held     1
read back   redirect                       always    failed   1     unconfirmed  1      1     | held     1
read back   nbf is a text                  once      rotated  0     renewal_due  1      1     | held     1
read back   no keys                        once      rotated  0     renewal_due  1      1     | held     1
read back   no kid                         once      rotated  0     renewal_due  1      1     | held     1
read back   no kid                         always    failed   1     unconfirmed  1      1     | held     1

enable      hangs                          once      rotated  0     renewal_due  1      1     | held     1
enable      hangs, after commit            once      rotated  0     renewal_due  1      1     | held     1
enable      slow                           once      rotated  0     renewal_due  1      1     | held     1
enable      429                            once      rotated  0     renewal_due  1      1     | held     1
enable      429                            always    failed   1     unconfirmed  1      1     | rotated  2
enable      500                            once      rotated  0     renewal_due  1      1     | held     1
enable      500, after commit              once      rotated  0     renewal_due  1      1     | held     1
enable      502 with a page                once      rotated  0     renewal_due  1      1     | held     1
enable      503                            once      rotated  0     renewal_due  1      1     | held     1
enable      504, after commit              always    rotated  0     renewal_due  1      1     | held     1
enable      AADB2C90063                    once      rotated  0     renewal_due  1      1     | held     1
enable      400                            once      rotated  0     renewal_due  1      1     | held     1
enable      401                            once      rotated  0     renewal_due  1      1     | held     1
enable      403                            always    failed   1     unconfirmed  1      1     | rotated  2
enable      404                            once      rotated  0     renewal_due  1      1     | held     1
enable      AADB2C95053                    once      rotated  0     renewal_due  1      1     | held     1
enable      reset                          once      rotated  0     renewal_due  1      1     | held     1
enable      reset, after commit            always    rotated  0     renewal_due  1      1     | held     1
enable      closed                         always    failed   1     unconfirmed  1      1     | rotated  2
enable      plain text                     once      rotated  0     renewal_due  1      1     | held     1
enable      100 MB                         once      rotated  0     renewal_due  1      1     | held     1
enable      redirect                       once      rotated  0     renewal_due  1      1     | held     1
enable      lost                           once      rotated  0     renewal_due  1      1     | held     1
enable      lost                           always    failed   1     unconfirmed  1      1     | rotated  2
"""


def fault(what: Kind, **more: Any) -> "partial[Fault]":
    """A fault that does not know yet where it strikes."""
    return partial(Fault, what=what, **more)


def status(number: int, code: str | None = None, **more: Any) -> "partial[Fault]":
    """An answer with an error, as the service writes them."""
    return fault(Kind.STATUS, status=number, code=code, **more)


FAULTS = {
    "hangs": fault(Kind.HANG),
    "hangs, after commit": fault(Kind.HANG, when=AFTER),
    "slow": fault(Kind.SLOW, delay=0.7),
    "slow, done after we gave up": fault(Kind.SLOW, delay=12),
    "429": fault(Kind.THROTTLED),
    "429, after commit": fault(Kind.THROTTLED, when=AFTER),
    "429, Retry-After 1 s": fault(Kind.THROTTLED, retry_after=1),
    "429, Retry-After as a date": fault(Kind.THROTTLED, retry_after=2, retry_after_as_date=True),
    "429, Retry-After 1 h": fault(Kind.THROTTLED, retry_after=3600),
    "429, Retry-After 300 years": fault(Kind.THROTTLED, retry_after=10**10),
    "509": status(509),
    "AADB2C95043": status(400, "AADB2C95043"),
    "500": status(500),
    "500, after commit": status(500, when=AFTER),
    "501": status(501),
    "502 with a page": fault(Kind.HTML),
    "502 with a page, after commit": fault(Kind.HTML, when=AFTER),
    "503": status(503),
    "503, Retry-After 1 h": status(503, retry_after=3600),
    "503, after commit": status(503, when=AFTER),
    "504": status(504),
    "504, after commit": status(504, when=AFTER),
    "AADB2C90063": status(400, "AADB2C90063"),
    "AADB2C90063, after commit": status(400, "AADB2C90063", when=AFTER),
    "AADB2C90035": status(400, "AADB2C90035"),
    "400": status(400, "BadRequest"),
    "400 without a code": status(400, ""),
    "400, after commit": status(400, "BadRequest", when=AFTER),
    "AADB2C95032": status(400, "AADB2C95032"),
    "AADB2C90073": status(400, "AADB2C90073"),
    "AADB2C99007": status(400, "AADB2C99007"),
    "401": status(401),
    "403": status(403),
    "404": status(404),
    "405": status(405),
    "408": status(408),
    "408, after commit": status(408, when=AFTER),
    "409": status(409),
    "409, after commit": status(409, when=AFTER),
    "412": status(412),
    "423": status(423),
    "AADB2C95053": status(400, "AADB2C95053"),
    "reset": fault(Kind.RESET),
    "reset, after commit": fault(Kind.RESET, when=AFTER),
    "closed": fault(Kind.CLOSE),
    "closed, after commit": fault(Kind.CLOSE, when=AFTER),
    "empty": fault(Kind.EMPTY),
    "empty, after commit": fault(Kind.EMPTY, when=AFTER),
    "a list": fault(Kind.LIST),
    "a list, after commit": fault(Kind.LIST, when=AFTER),
    "plain text": fault(Kind.BODY, body="Hello", content_type="text/plain"),
    "plain text, after commit": fault(Kind.BODY, body="Hello", content_type="text/plain", when=AFTER),
    "100 MB": fault(Kind.HUGE),
    "100 MB, after commit": fault(Kind.HUGE, when=AFTER),
    "gzip bomb": fault(Kind.GZIP_BOMB),
    "gzip bomb, after commit": fault(Kind.GZIP_BOMB, when=AFTER),
    "redirect": fault(Kind.REDIRECT),
    "redirect, after commit": fault(Kind.REDIRECT, when=AFTER),
    "truncated": fault(Kind.TRUNCATED),
    "half of the JSON": fault(Kind.CUT_JSON),
    "drips": fault(Kind.DRIP, interval=0.03),
    "lost": fault(Kind.LOST),
    "dates 200 days later": fault(Kind.ALTERED, shift=200 * DAY),
    "no value": fault(Kind.MISSING_MEMBER, member="value"),
    "no keys": fault(Kind.MISSING_MEMBER, member="keys"),
    "no token_endpoint": fault(Kind.MISSING_MEMBER, member="token_endpoint"),
    "no access_token": fault(Kind.MISSING_MEMBER, member="access_token"),
    "no expires_in": fault(Kind.MISSING_MEMBER, member="expires_in"),
    "no kid": fault(Kind.MISSING_KID),
    "another kid": fault(Kind.FORGED_MEMBER, member="kid", value="another"),
    "nbf is a text": fault(Kind.FORGED_MEMBER, member="nbf", value="soon"),
    "next link abroad": fault(Kind.FOREIGN_NEXT_LINK),
    "next link loops": fault(Kind.NEXT_LINK_LOOP),
    "next link is http": fault(Kind.INSECURE_NEXT_LINK),
    "Date is 70 s off": fault(Kind.WRONG_DATE, skew=-70),
    "Date is 400 s off": fault(Kind.WRONG_DATE, skew=-400),
    "Date is 400 s ahead": fault(Kind.WRONG_DATE, skew=400),
}

WHERE: dict[str, tuple[Operation | None, int]] = {
    "every": (None, 0),
    "discovery": (Operation.DISCOVERY, 0),
    "token": (Operation.TOKEN, 0),
    "list": (Operation.LIST_KEYSETS, 0),
    "look again": (Operation.GET_KEYSET, 0),
    "ask": (GENERATE, 0),
    "read back": (Operation.GET_KEYSET, 1),
    "enable": (Operation.UPDATE_KEY, 0),
}
"""The request a line is about: its operation, and how many of that operation come before it."""

OUT_OF_TIME = ("hangs", "slow, done", "drips")
"""The faults that cost a whole `request_timeout`: it is short only there, since a busy machine is slow as well."""


@dataclass(frozen=True, kw_only=True)
class Line:
    """One line of the table."""

    number: int
    at: str
    fault: str
    times: str
    comes_to: tuple[str, int, str, int, int]
    then: tuple[str, int]

    def __str__(self) -> str:
        return f"{self.at}: {self.fault}, {self.times}"

    @property
    def tenant(self) -> Tenant:
        """The tenant in which it happens; where a key is to be enabled, it is created disabled."""
        switches = Switches(generated_status=Status.DISABLED if self.at == "enable" else Status.ENABLED)
        return Tenant(name=f"line{self.number}", keysets=(due(KEYSET),), switches=switches)

    @property
    def injected(self) -> Fault:
        """The fault, where it strikes."""
        where, skip = WHERE[self.at]
        times = 1 if self.times == "once" else None
        return FAULTS[self.fault](where=where, skip=skip, times=times, tenant=self.tenant.domain)

    @property
    def company(self) -> tuple[int, ...]:
        """What it has in common with those that share its pass: the timeout, the exit code, how far they get."""
        early = self.at in ("every", "discovery", "token", "list")
        return self.fault.startswith(OUT_OF_TIME), self.comes_to[1], early


def read(table: str) -> Iterator[Line]:
    """The lines of a table, without its head."""
    for number, text in enumerate(line for line in table.splitlines()[2:] if line):
        at, fault, times, outcome, code, reason, asked, keys, then, keys_then = re.split(r" *\| | {2,}", text)
        yield Line(
            number=number,
            at=at,
            fault=fault,
            times=times,
            comes_to=(outcome, int(code), reason, int(asked), int(keys)),
            then=(then, int(keys_then)),
        )


LINES = tuple(read(TABLE))


@dataclass(frozen=True, kw_only=True)
class Came:
    """The result of a line in one pass: the pass's exit code, its row and failures, requests, and new keys then."""

    code: int
    row: Mapping[str, Any]
    failures: Sequence[Mapping[str, Any]]
    requests: Sequence[Seen]
    keys: Sequence[tuple[int, int, Status | None]]


@dataclass(frozen=True, kw_only=True)
class Story:
    """The result of a line: whether its fault struck, how the old key's turn ends, and both passes."""

    struck: bool
    turn: int
    first: Came
    then: Came


def play(folder: Path, lines: Sequence[Line]) -> dict[Line, Story]:
    """Play lines side by side: one pass with the faults, and one without."""
    with Bench(folder) as bench:
        bench.begin(*(line.tenant for line in lines))
        injected = [bench.emulator.inject(line.injected) for line in lines]
        first = one_pass(bench, lines, lambda line: line.company)
        struck = [bool(fault.hits) for fault in injected]
        bench.emulator.faults.clear()
        then = one_pass(bench, lines, lambda line: (line.number % 2,))
        turns = [bench.keys(KEYSET, line.tenant.name)[0].nbf + 90 * DAY for line in lines]
    return {
        line: Story(struck=hit, turn=turn, first=first[line], then=then[line])
        for line, hit, turn in zip(lines, struck, turns, strict=True)
    }


def one_pass(bench: Bench, lines: Sequence[Line], company: Callable[[Line], tuple[int, ...]]) -> dict[Line, Came]:
    """One pass over all tenants, in as many processes as there are companies."""
    before = len(bench.emulator.requests)
    companies = [list(group) for _, group in groupby(sorted(lines, key=company), company)]
    runs = wait_for_all([once(bench, configured(bench, group)) for group in companies])
    for line in lines:
        if line.comes_to[4]:  # where a client gave up, the service may still be at it
            bench.emulator.wait_for(GENERATE, stage=Stage.COMMITTED, tenant=line.tenant.domain)
    requests = by_tenant(bench.emulator.requests[before:])
    came = {}
    for group, run in zip(companies, runs, strict=True):
        rows, failures = rows_of(run), lines_of(run, "keyset.failed")
        for line in group:
            (row,) = rows[line.tenant.name]
            keys = bench.keys(KEYSET, line.tenant.name)[1:]
            came[line] = Came(
                code=run.code,
                row=row,
                failures=failures.get(line.tenant.name, []),
                requests=requests.get(line.tenant.name, []),
                keys=[(key.nbf, key.exp, key.status) for key in keys],
            )
    return came


def configured(bench: Bench, lines: Sequence[Line]) -> Path:
    """The configuration of a company."""
    short = all(line.fault.startswith(OUT_OF_TIME) for line in lines)
    tenants = [line.tenant for line in lines]
    return configure(bench, f"from-{tenants[0].name}", tenants, request_timeout="5s" if short else "30s")


@pytest.fixture(scope="module")
def stories(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> dict[Line, Story]:
    """The result of the lines that were requested."""
    items = request.session.items
    wanted = {item.callspec.params.get("line") for item in items if hasattr(item, "callspec")}
    lines = [line for line in LINES if line in wanted] or LINES
    return play_once(tmp_path_factory, "table", lambda folder: play(folder, lines))


@pytest.mark.timeout(400)
@pytest.mark.parametrize("line", LINES, ids=str)
def test_fault(stories: dict[Line, Story], line: Line) -> None:
    """What a line of the table says comes true, and in the end there is one successor with the right dates."""
    story = stories[line]
    first, then, exp = story.first, story.then, story.turn + int(LIFE.total_seconds())
    assert story.struck, "the fault never struck"
    outcome, _, reason, asked, keys = line.comes_to
    told = first.row["outcome"], first.row["reason"], len(posts(first.requests)), len(first.keys)
    assert (outcome, reason, asked, keys) == told, first.row["error"]
    assert [reason] * (outcome == "failed") == [failure["kind"] for failure in first.failures]
    assert line.then == (then.row["outcome"], len(then.keys)), then.row["error"]
    assert [(story.turn, exp)] == [
        key[:2] for key in then.keys if key[:2] == (story.turn, exp) and key[2] != "disabled"
    ]
    assert not blind_repeats([*first.requests, *then.requests])


@pytest.mark.timeout(400)
@pytest.mark.parametrize("code", [0, 1])
def test_exit_code(stories: dict[Line, Story], code: int) -> None:
    """A pass over lines with one exit code ends with that code: nothing that went well in the end is complained of."""
    assert {code} == {story.first.code for line, story in stories.items() if line.comes_to[1] == code}


def test_next_exit_code(stories: dict[Line, Story]) -> None:
    """Whatever went wrong, the next pass has nothing to complain of."""
    assert {0} == {story.then.code for story in stories.values()}
