"""What judge.py judges with: checks, logins, containers, and what every list must be able to do.

Takes URL and CA-FILE from the command line, as judge.py does.
"""

import sys
import uuid

import requests
from bambou.exceptions import BambouHTTPError
from vspk import v6 as vsdk

URL, CA = sys.argv[1:3]
BASE = URL + "/nuage/api/v6"
# Names begin with it: what another run has left is not in the way.
R = "judge-" + uuid.uuid4().hex[:6]
CHECKS = 0

# The SDK turns the verification of certificates off in each call; here it is on.
plain_request = requests.Session.request


def verified_request(self, *args, **kwargs):
    kwargs["verify"] = CA
    return plain_request(self, *args, **kwargs)


requests.Session.request = verified_request


def part(name):
    print("-", name, flush=True)


def check(truth, *seen):
    global CHECKS
    CHECKS += 1
    assert truth, seen


def checks():
    return CHECKS


def same(seen, wanted):
    check(seen == wanted, seen, wanted)


def refused(status, call, *args, code=None, **kwargs):
    """The call fails with this status, and the SDK finds what it looks for."""
    try:
        call(*args, **kwargs)
    except BambouHTTPError as error:
        response = error.connection.response
        same(response.status_code, status)
        if status in (404, 409):
            first = response.errors[0]["descriptions"][0]
            check(first["title"] and first["description"], response.errors)
        if code:
            same(response.data["internalErrorCode"], code)
        return response
    raise AssertionError(f"a {status} was expected")


def session(user="csproot", password="csproot", enterprise="csp"):
    return vsdk.NUVSDSession(
        username=user, password=password, enterprise=enterprise, api_url=URL
    )


def hex64():
    return uuid.uuid4().hex + uuid.uuid4().hex


SERIAL = 0


def interface(subnet=None, ip=None, vport=None):
    global SERIAL
    SERIAL += 1
    mac = "02:00:5e:%02x:%02x:%02x" % (SERIAL >> 16, SERIAL >> 8 & 255, SERIAL & 255)
    made = vsdk.NUContainerInterface(mac=mac, name=f"nln{SERIAL:x}-1")
    if subnet:
        made.attached_network_id = subnet.id
    if vport:
        made.vport_id = vport.id
    if ip:
        made.ip_address = ip
    return made


def container(name, subnet, ip=None, **more):
    more.setdefault("uuid", hex64())
    return vsdk.NUContainer(
        name=f"{R}-{name}", interfaces=[interface(subnet, ip)], **more
    )


def ip_of(one):
    return one.interfaces[0]["IPAddress"]


def lists(fetcher, names, key="name"):
    """What every list has to be able to do, for one that holds at least these names."""
    first, second = names[0], names[1]

    def seen(**kwargs):
        return [getattr(one, key) for one in fetcher.get(**kwargs)]

    check(set(names) <= set(seen()), names)
    same(seen(filter=f'{key} == "{first}"'), [first])
    same(seen(filter=f"{key} == '{second}'"), [second])
    same(seen(filter=f'{key} IS "{first}"'), [first])
    check(first in seen(filter=f'{key} CONTAINS "{first[1:]}"'))
    check(second in seen(filter=f'{key} BEGINSWITH "{second[:-1]}"'))
    check(second in seen(filter=f'{key} ENDSWITH "{second[-3:]}"'))
    check(first not in seen(filter=f'{key} != "{first}"'))
    both = seen(filter=f'{key} == "{first}" or {key} == "{second}"')
    same(sorted(both), sorted([first, second]))
    same(fetcher.get_first(filter=f'{key} == "{second}"').name, second)
    same(seen(filter=f'{key} == "no such {R}"'), [])
    same(fetcher.get_first(filter=f'{key} == "no such {R}"'), None)
    own = fetcher.get_first(filter=f'{key} == "{first}"')
    same(seen(filter=f'{key} == "{first}" and ID == "{own.id}"'), [first])
    same(seen(filter=f'{key} == "{second}" and ID == "{own.id}"'), [])
    same(seen(filter=f'ID == "{own.id}"'), [first])
    same(fetcher.get_count(filter=f'{key} == "{first}"'), 1)
    total = fetcher.get_count()
    same(total, len(seen()))
    same(len(seen(page=0, page_size=1)), 1)
    paged = [seen(page=page, page_size=1)[0] for page in range(total)]
    same(sorted(paged), sorted(seen()))
    same(seen(page=total, page_size=1), [])
    same(seen(order_by=f"{key} DESC"), list(reversed(seen(order_by=f"{key} ASC"))))
    refused(409, fetcher.get, filter=f"{key} == ")
    refused(409, fetcher.get, filter=f'{key} == "{first}')


def made(parent, *children):
    for child in children:
        parent.create_child(child)
        check(uuid.UUID(child.id) and child.creation_date and child.owner)
        if parent.rest_name != "me":
            same(child.parent_id, parent.id)
            same(child.parent_type, parent.rest_name)
        again = type(child)(id=child.id)
        again.fetch()
        same(again.name, child.name)
    return children
