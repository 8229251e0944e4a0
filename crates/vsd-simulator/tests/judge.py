"""Nuage's own Python SDK against a VSD: is it content?

Usage: judge.py URL CA-FILE. Prints one line for each part, then `content, N checks`.
Stops with a traceback at the first answer that is not as the SDK's users need it.
"""

import sys
import uuid

import requests
from vspk import v6 as vsdk

# Nothing is written beside the sources.
sys.dont_write_bytecode = True
from judge_tools import (  # noqa: E402
    BASE,
    R,
    URL,
    check,
    checks,
    container,
    hex64,
    interface,
    ip_of,
    lists,
    made,
    part,
    refused,
    same,
    session,
)

part("bad logins are refused, good ones are not")
for wrong in (
    {"password": "wrong"},
    {"user": "nobody"},
    {"enterprise": "no such enterprise"},
):
    refused(401, session(**wrong).start)
good = session()
good.start()
me = good.me
check(me.api_key and me.user_name == "csproot" and me.enterprise_name == "csp")
check(uuid.UUID(me.id) and uuid.UUID(me.enterprise_id), me.id)
same(me.role, "CSPROOT")
key = me.api_key
answer = requests.Session().get(BASE + "/enterprises")
same(answer.status_code, 401)
check(answer.headers["WWW-Authenticate"].startswith("BASIC realm"))
check(answer.headers["Content-Type"].startswith("text/html"))
again = session()
again.start()
same(again.me.api_key, key)

part("enterprises")
first, second = made(
    me,
    vsdk.NUEnterprise(name=f"{R}-a", description="judge"),
    vsdk.NUEnterprise(name=f"{R} \"quoted\" b"),
)
first.description = "changed"
first.save()
seen = vsdk.NUEnterprise(id=first.id)
seen.fetch()
same(seen.description, "changed")
refused(409, me.create_child, vsdk.NUEnterprise(name=f"{R}-a"), code=2510)
refused(409, me.create_child, vsdk.NUEnterprise(), code=5001)
third, fourth = made(me, vsdk.NUEnterprise(name=f"{R}-c"), vsdk.NUEnterprise(name=f"{R}-d"))
lists(me.enterprises, [third.name, fourth.name])
quoted = second.name.replace('"', '\\"')
same([one.id for one in me.enterprises.get(filter=f'name == "{quoted}"')], [second.id])
fourth.name = third.name
refused(409, fourth.save, code=2510)
third.delete()
fourth.delete()

part("users")
user = vsdk.NUUser(user_name=f"{R}-u", password="pw", first_name="a", last_name="b", email="c@d")
first.create_child(user)
own = session(f"{R}-u", "pw", f"{R}-a")
own.start()
same(own.me.enterprise_name, f"{R}-a")
refused(401, session(f"{R}-u", "pw", "csp").start)
refused(401, session(f"{R}-u", "other", f"{R}-a").start)
good.start()
check(user.user_name in [one.user_name for one in me.users.get()])

part("templates, domains, zones")
ta, tb = made(
    first, vsdk.NUDomainTemplate(name=f"{R}-ta"), vsdk.NUDomainTemplate(name=f"{R}-tb")
)
lists(first.domain_templates, [ta.name, tb.name])
da, db = made(
    first,
    vsdk.NUDomain(name=f"{R}-da", template_id=ta.id),
    vsdk.NUDomain(name=f"{R}-db", template_id=ta.id),
)
same(da.template_id, ta.id)
refused(409, first.create_child, vsdk.NUDomain(name=f"{R}-da", template_id=ta.id), code=2510)
refused(409, first.create_child, vsdk.NUDomain(name=f"{R}-dx"), code=5001)
ghost = vsdk.NUEnterprise(id=str(uuid.uuid4()))
refused(404, ghost.create_child, vsdk.NUDomain(name="x", template_id=ta.id))
lists(first.domains, [da.name, db.name])
same(second.domains.get(), [])
za, zb = made(da, vsdk.NUZone(name=f"{R}-za"), vsdk.NUZone(name=f"{R}-zb"))
(zo,) = made(db, vsdk.NUZone(name=f"{R}-za"))
refused(409, da.create_child, vsdk.NUZone(name=f"{R}-za"), code=2510)
lists(da.zones, [za.name, zb.name])

part("subnets")


def subnet(name, address, netmask="255.255.255.0", **more):
    return vsdk.NUSubnet(name=f"{R} {name}", address=address, netmask=netmask, **more)


sa, sb = made(
    za, subnet("sub a", "10.77.1.0", gateway="10.77.1.1"), subnet("sub b", "10.77.2.0")
)
(sc,) = made(zb, subnet("sub c", "10.77.3.0", "255.255.255.240"))
same((sa.address, sa.netmask, sa.gateway), ("10.77.1.0", "255.255.255.0", "10.77.1.1"))
same(sb.gateway, "10.77.2.1")
(so,) = made(zo, subnet("sub a", "10.77.1.0", gateway="10.77.1.1"))
refused(409, za.create_child, subnet("sub a", "10.77.9.0"), code=2510)
for overlap in (
    subnet("x", "10.77.1.128", "255.255.255.128"),
    subnet("x", "10.77.0.0", "255.255.0.0"),
    subnet("x", "10.77.1.0"),
):
    refused(409, za.create_child, overlap)
    refused(409, zb.create_child, overlap)
refused(409, za.create_child, subnet("x", "10.77.8.1"))
refused(409, za.create_child, subnet("x", "10.77.8.0", "255.0.255.0"))
refused(409, za.create_child, subnet("x", "10.77.8.0", gateway="10.77.9.1"))
refused(404, vsdk.NUZone(id=str(uuid.uuid4())).create_child, subnet("x", "10.77.8.0"))
lists(za.subnets, [sa.name, sb.name])
lists(da.subnets, [sa.name, sb.name, sc.name])

part("containers and their addresses")
host = f"host-{R}"
c1 = container("c1", sa, external_id=host)
me.create_child(c1)
plugged = c1.interfaces[0]
for name, wanted in (
    ("IPAddress", "10.77.1.2"),
    ("netmask", "255.255.255.0"),
    ("gateway", "10.77.1.1"),
    ("attachedNetworkID", sa.id),
    ("attachedNetworkType", "SUBNET"),
    ("networkName", sa.name),
    ("domainName", da.name),
    ("domainID", da.id),
    ("zoneName", za.name),
    ("zoneID", za.id),
    ("containerUUID", c1.uuid),
    ("parentID", c1.id),
    ("parentType", "container"),
):
    same(plugged[name], wanted)
check(uuid.UUID(plugged["VPortID"]) and uuid.UUID(plugged["ID"]))
same((c1.enterprise_name, c1.enterprise_id), (first.name, first.id))
same((c1.subnet_ids, c1.domain_ids), ([sa.id], [da.id]))
same((c1.status, c1.user_name), ("INIT", "csproot"))
seen = vsdk.NUContainer(id=c1.id)
seen.fetch()
same(seen.interfaces, c1.interfaces)
(port,) = c1.container_interfaces.get()
same((port.ip_address, port.id), ("10.77.1.2", plugged["ID"]))
same([one.id for one in me.containers.get(filter=f'externalID == "{host}"')], [c1.id])
same([one.id for one in me.containers.get(filter=f'UUID == "{c1.uuid}"')], [c1.id])
same(ip_of(me.containers.get_first(filter=f'UUID == "{c1.uuid}"')), "10.77.1.2")
c2 = container("c2", sa, external_id=host)
me.create_child(c2)
same(ip_of(c2), "10.77.1.3")
c3 = container("c3", sa, "10.77.1.99", external_id=host)
me.create_child(c3)
same(ip_of(c3), "10.77.1.99")
lists(sa.containers, [c1.name, c2.name])
same(len(da.containers.get()), 3)
same(len(za.containers.get()), 3)

part("containers that cannot be")
refused(409, me.create_child, container("c4", sa, "10.77.1.2"), code=2704)
refused(409, me.create_child, container("c5", sa, "10.99.1.9"), code=2703)
refused(409, me.create_child, container("c5", sa, "10.77.1.1"), code=2703)
refused(409, me.create_child, container("c5", sa, "10.77.1.0"), code=2703)
refused(409, me.create_child, container("c5", sa, "10.77.1.255"), code=2703)
refused(409, me.create_child, container("c6", sa, uuid=c1.uuid), code=2748)
refused(404, me.create_child, container("c7", vsdk.NUSubnet(id=str(uuid.uuid4()))))
refused(409, me.create_child, vsdk.NUContainer(name="x", interfaces=[interface(sa)]))
half = vsdk.NUContainer(
    name="half", uuid=hex64(), interfaces=[interface(sa, "10.77.1.50"), interface(sa, "10.77.1.2")]
)
refused(409, me.create_child, half, code=2704)
same(len(sa.containers.get()), 3)
same(len(sa.vports.get()), 3)
half.interfaces = [interface(sa, "10.77.1.50")]
me.create_child(half)
half.delete()

part("a small subnet gets full")
many = [container(f"s{i}", sc) for i in range(14)]
for one in many[:13]:
    me.create_child(one)
same(sorted(int(ip_of(one).split(".")[3]) for one in many[:13]), list(range(2, 15)))
refused(409, me.create_child, many[13], code=2702)
for one in many[:13]:
    one.delete()
same(sc.containers.get(), [])

part("vports")
vport = vsdk.NUVPort(id=plugged["VPortID"])
vport.fetch()
same((vport.type, vport.parent_id, vport.domain_id), ("CONTAINER", sa.id, da.id))
same(vport.name, plugged["VPortName"])
check(vport.id in [one.id for one in sa.vports.get()])
same([one.id for one in da.vports.get(filter=f'ID == "{vport.id}"')], [vport.id])
same([one.id for one in vport.container_interfaces.get()], [plugged["ID"]])
same([one.id for one in vport.containers.get()], [c1.id])
(ready,) = made(sb, vsdk.NUVPort(name=f"{R}-vp", type="CONTAINER"))
held = vsdk.NUContainer(name=f"{R}-held", uuid=hex64(), interfaces=[interface(vport=ready)])
me.create_child(held)
same(held.interfaces[0]["VPortID"], ready.id)
same(ip_of(held), "10.77.2.2")
twice = vsdk.NUContainer(name=f"{R}-tw", uuid=hex64(), interfaces=[interface(vport=ready)])
refused(409, me.create_child, twice, code=7010)
refused(409, ready.delete)
more = interface(sa)
held.create_child(more)
same(more.ip_address, "10.77.1.4")
held.fetch()
same([one["attachedNetworkID"] for one in held.interfaces], [sb.id, sa.id])
same(held.subnet_ids, [sb.id, sa.id])
own_vport = vsdk.NUVPort(id=more.vport_id)
own_vport.fetch()
more.delete()
refused(404, own_vport.fetch)
refused(404, vsdk.NUContainerInterface(id=more.id).fetch)
held.fetch()
same((len(held.interfaces), held.subnet_ids), (1, [sb.id]))
held.delete()
ready.fetch()
ready.delete()

part("policy groups")
ga, gb = made(
    da,
    vsdk.NUPolicyGroup(name=f"{R}-pga", type="SOFTWARE"),
    vsdk.NUPolicyGroup(name=f"{R}-pgb", type="SOFTWARE"),
)
(go,) = made(db, vsdk.NUPolicyGroup(name=f"{R}-pgo", type="SOFTWARE"))
refused(409, da.create_child, vsdk.NUPolicyGroup(name=f"{R}-pga", type="SOFTWARE"))
lists(da.policy_groups, [ga.name, gb.name])
same([one.id for one in me.policy_groups.get(filter=f'name == "{R}-pga"')], [ga.id])


def groups():
    return [one.id for one in vport.policy_groups.get()]


same(groups(), [])
vport.assign([ga], vsdk.NUPolicyGroup)
same(groups(), [ga.id])
same([one.id for one in ga.vports.get()], [vport.id])
refused(409, ga.delete, code=7097)
vport.assign([gb], vsdk.NUPolicyGroup)
same(groups(), [gb.id])
vport.assign([ga, gb], vsdk.NUPolicyGroup)
same(sorted(groups()), sorted([ga.id, gb.id]))
refused(409, vport.assign, [go], vsdk.NUPolicyGroup, code=7309)
refused(404, vport.assign, [vsdk.NUPolicyGroup(id=str(uuid.uuid4()))], vsdk.NUPolicyGroup)
same(len(groups()), 2)
vport.assign([], vsdk.NUPolicyGroup)
same(groups(), [])
refused(404, vsdk.NUVPort(id=str(uuid.uuid4())).assign, [ga], vsdk.NUPolicyGroup)

part("a container gets its real UUID and name")
before = c1.uuid
real = hex64()
c1.uuid, c1.name, c1.orchestration_id = real, f"{R}-web", "task-1"
c1.interfaces[0]["IPAddress"] = "10.77.1.200"
c1.save(response_choice=1)
seen = vsdk.NUContainer(id=c1.id)
seen.fetch()
same((seen.uuid, seen.name, seen.orchestration_id), (real, f"{R}-web", "task-1"))
same(ip_of(seen), "10.77.1.2")
same(me.containers.get(filter=f'UUID == "{before}"'), [])
c2.fetch()
c2.uuid = real
refused(409, c2.save, code=2748)
lost = container("no", sa)
lost.id = str(uuid.uuid4())
refused(404, lost.save)
reused = container("reused", sa, uuid=before)
me.create_child(reused)
reused.delete()

part("reserved addresses")
kept = vsdk.NUIPReservation(mac="02:00:5f:00:00:01", ip_address="10.77.1.4")
sa.create_child(kept)
refused(409, me.create_child, container("r", sa, "10.77.1.4"), code=2704)
r1 = container("r1", sa)
me.create_child(r1)
same(ip_of(r1), "10.77.1.5")
r1.delete()
r2 = container("r2", sa)
r2.interfaces[0].mac = "02:00:5F:00:00:01"
me.create_child(r2)
same(ip_of(r2), "10.77.1.4")
r2.delete()
kept.delete()

part("55 containers, 50 on a page")
bulk = f"bulk-{R}"
for i in range(55):
    me.create_child(container(f"b{i:03}", sb, external_id=bulk))
wanted = f'externalID == "{bulk}"'
pages = [me.containers.get(filter=wanted, page=page, page_size=50) for page in range(3)]
same([len(page) for page in pages], [50, 5, 0])
same(len({one.id for page in pages for one in page}), 55)
same(len({ip_of(one) for page in pages for one in page}), 55)
same(me.containers.get_count(filter=wanted), 55)
headers = {
    "Authorization": good.login_controller.get_authentication_header("csproot", key),
    "X-Nuage-Organization": "csp",
}
asked = {
    "X-Nuage-Filter": wanted,
    "X-Nuage-FilterType": "predicate",
    "X-Nuage-Page": "1",
    "X-Nuage-PageSize": "50",
    "X-Nuage-OrderBy": "name DESC",
}
client = requests.Session()
answer = client.get(BASE + "/containers", headers=headers | asked, data="null")
same(answer.status_code, 200)
for name, value in asked.items():
    same(answer.headers.get(name), value)
same(answer.headers["X-Nuage-Count"], "55")
same([one["name"] for one in answer.json()], [f"{R}-b{i:03}" for i in (4, 3, 2, 1, 0)])
answer = client.get(BASE + "/containers", headers=headers | asked | {"X-Nuage-Page": "2"})
same((answer.status_code, answer.content), (200, b""))
same(answer.headers["Content-Length"], "0")
check("Content-Type" not in answer.headers)
for page in pages:
    for one in page:
        one.delete()
same(me.containers.get_count(filter=wanted), 0)

part("malformed requests are refused, and the server lives on")
for body in ("{not json", "", "[]", '"text"'):
    answer = client.post(BASE + "/enterprises", headers=headers, data=body)
    same(answer.status_code, 400)
    check(answer.json()["errors"][0]["descriptions"][0]["title"])
for version in ("v5_0", "v4_0"):
    same(client.get(f"{URL}/nuage/api/{version}/me", headers=headers).json()[0]["APIKey"], key)
for path in ("/nosuchthings", "/enterprises/x/y/z", f"/subnets/{sa.id}/domains", ""):
    same(client.get(BASE + path, headers=headers).status_code, 404)
same(client.delete(BASE + "/enterprises", headers=headers).status_code, 405)
first.fetch()

part("what is in use stays")
for busy in (first, ta, da, za, sa):
    refused(409, busy.delete)
    busy.fetch()

part("unknown IDs")
for kind in (
    vsdk.NUEnterprise,
    vsdk.NUDomainTemplate,
    vsdk.NUDomain,
    vsdk.NUZone,
    vsdk.NUSubnet,
    vsdk.NUContainer,
    vsdk.NUContainerInterface,
    vsdk.NUVPort,
    vsdk.NUPolicyGroup,
    vsdk.NUUser,
    vsdk.NUIPReservation,
):
    strange = kind(id=str(uuid.uuid4()))
    data = refused(404, strange.fetch).data
    same(data["title"], f"{kind.rest_name} not found")
    refused(404, strange.delete)
strange = vsdk.NUDomain(id=str(uuid.uuid4()))
refused(404, strange.subnets.get)
refused(404, vsdk.NUSubnet(id=da.id).fetch)

part("deletes, children first")
gone = container("gone", sa)
gone.id = c2.id
c2.delete()
refused(404, gone.fetch)
refused(404, gone.delete)
reused = container("c9", sa, "10.77.1.3")
me.create_child(reused)
same(ip_of(reused), "10.77.1.3")
for one in (reused, c1, c3):
    one.delete()
refused(404, vport.fetch)
for one in (ga, gb, go, sa, sb, sc, so, za, zb, zo, da, db, ta, tb, user, first, second):
    one.delete()
    refused(404, one.fetch)
same([one.name for one in me.enterprises.get() if one.name.startswith(R)], [])

print(f"content, {checks()} checks")
