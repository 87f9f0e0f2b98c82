"""Eclipse Paho over any transport: publishes at every QoS to itself and prints what comes back.

usage: paho_transports.py HOST PORT 3.1.1|5 tcp|websockets [CAFILE [CERTFILE KEYFILE]]
"""

import queue
import sys

import paho.mqtt.client as mqtt

PATIENCE_S = 60
VERSIONS = {"3.1.1": mqtt.MQTTv311, "5": mqtt.MQTTv5}

host, port, version, transport, *tls = sys.argv[1:]
events = queue.Queue()


def happened(what):
    """Waits for an event of this kind and returns what belongs to it."""
    kind, value = events.get(timeout=PATIENCE_S)
    if kind != what:
        sys.exit(f"waiting for {what}, got {kind} {value}")
    return value


client = mqtt.Client(
    mqtt.CallbackAPIVersion.VERSION2,
    client_id="paho",
    protocol=VERSIONS[version],
    transport=transport,
)
client.on_connect = lambda _c, _u, _f, reason, _p: events.put(("connected", reason))
client.on_connect_fail = lambda _c, _u: events.put(("not connected", None))
# A certificate that is refused ends the socket before anything else happens.
client.on_socket_close = lambda _c, _u, _s: events.put(("closed", None))
client.on_disconnect = lambda _c, _u, _f, reason, _p: events.put(("disconnected", reason))
client.on_subscribe = lambda _c, _u, _m, reasons, _p: events.put(("subscribed", reasons))
client.on_message = lambda _c, _u, message: events.put(("message", message))
if tls:
    client.tls_set(*tls)

client.connect(host, int(port))
client.loop_start()
print("connected", happened("connected"))
client.on_socket_close = None
client.subscribe("paho/#", qos=2)
print("subscribed", *happened("subscribed"))
# The last is larger than any buffer between the two.
payloads = ["a", "b", "c", "x" * 200_000]
for qos, payload in zip([0, 1, 2, 2], payloads):
    client.publish("paho/t", payload, qos=qos)
    message = happened("message")
    same = message.payload.decode() == payload
    print("got", message.topic, "qos", message.qos, "same" if same else "CHANGED")
client.disconnect()
print("disconnected", happened("disconnected"))
client.loop_stop()
