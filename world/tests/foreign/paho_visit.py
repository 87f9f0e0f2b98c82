"""A visit of Eclipse Paho's client to a broker: subscribes, publishes at every QoS, goes away and comes
back into its session. Says what it saw as JSON lines; who called judges.

usage: paho_visit.py HOST PORT {3.1.1|5} {1|2}     the last is Paho's own callback API
"""

import json
import queue
import sys

import paho.mqtt.client as mqtt
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

# Nothing that works takes so long.
PATIENCE_S = 60

host, port, version, api = sys.argv[1], int(sys.argv[2]), sys.argv[3], sys.argv[4]
v5 = version == "5"
events = queue.Queue()


def say(**what):
    print(json.dumps(what, sort_keys=True), flush=True)


def code(reason):
    """Version 1 of the API gives numbers at 3.1.1, version 2 gives reason codes everywhere."""
    return reason if isinstance(reason, int) else reason.value


def client(client_id, clean):
    kind = mqtt.CallbackAPIVersion.VERSION1 if api == "1" else mqtt.CallbackAPIVersion.VERSION2
    settings = {} if v5 else {"clean_session": clean}
    made = mqtt.Client(kind, client_id, protocol=mqtt.MQTTv5 if v5 else mqtt.MQTTv311, **settings)

    def on_connect(_client, _userdata, flags, reason, *_properties):
        present = flags["session present"] if isinstance(flags, dict) else flags.session_present
        events.put(("connected", bool(present), code(reason)))

    def on_subscribe(_client, _userdata, _mid, codes, *_properties):
        events.put(("subscribed", [code(each) for each in codes]))

    def on_publish(_client, _userdata, _mid, *reason_and_properties):
        reason = code(reason_and_properties[0]) if reason_and_properties else 0
        events.put(("published", reason))

    def on_message(_client, _userdata, message):
        got = {
            "topic": message.topic,
            "payload": message.payload.decode(),
            "qos": message.qos,
            "retain": message.retain,
        }
        if v5:
            got["user"] = getattr(message.properties, "UserProperty", [])
            got["subscription"] = getattr(message.properties, "SubscriptionIdentifier", [])
        events.put(("got", got))

    made.on_connect, made.on_subscribe = on_connect, on_subscribe
    made.on_publish, made.on_message = on_publish, on_message
    return made


def wait_for(name):
    """The next event of that name; others in between are kept for later."""
    kept = []
    while True:
        event = events.get(timeout=PATIENCE_S)
        if event[0] == name:
            for other in kept:
                events.put(other)
            return event[1:]
        kept.append(event)


def connect(made, clean=True):
    if v5:
        stay = Properties(PacketTypes.CONNECT)
        stay.SessionExpiryInterval = 0 if clean else 600
        made.connect(host, port, clean_start=clean, properties=stay)
    else:
        made.connect(host, port)
    made.loop_start()
    present, reason = wait_for("connected")
    say(did="connect", present=present, reason=reason)


def leave(made):
    made.disconnect()
    made.loop_stop()


def publish(made, topic, payload, qos, retain=False):
    extra = {}
    if v5:
        properties = Properties(PacketTypes.PUBLISH)
        properties.UserProperty = ("room", "bath")
        extra["properties"] = properties
    made.publish(topic, payload, qos, retain, **extra)
    say(did="publish", topic=topic, qos=qos, reason=wait_for("published")[0])


def subscribe(made, topic, qos):
    extra = {}
    if v5:
        properties = Properties(PacketTypes.SUBSCRIBE)
        properties.SubscriptionIdentifier = 7
        extra = {"options": mqtt.SubscribeOptions(qos=qos), "properties": properties}
    else:
        extra = {"qos": qos}
    made.subscribe(topic, **extra)
    say(did="subscribe", topic=topic, granted=wait_for("subscribed")[0])


guest = client(f"guest-{version}-{api}", clean=False)
other = client(f"other-{version}-{api}", clean=True)
connect(guest, clean=False)
subscribe(guest, "sensors/#", 2)
connect(other)
for hour, qos in enumerate((0, 1, 2), start=1):
    reading = {"name": "TH1", "timestamp": f"2020-01-0{version[0]} {api}{hour}:00:00", "value": 20.5}
    publish(other, "sensors/TH1", json.dumps(reading), qos)
    say(did="get", **wait_for("got")[0])

# Away: what is above QoS 0 waits.
leave(guest)
for number, qos in enumerate((1, 1, 2)):
    publish(other, "sensors/away", str(number), qos)
guest = client(f"guest-{version}-{api}", clean=False)
connect(guest, clean=False)
for _ in range(3):
    say(did="get", **wait_for("got")[0])

# Nobody writes where the gateway writes.
publish(other, "sluice/home/status", "forged", 1)
leave(guest)
leave(other)
