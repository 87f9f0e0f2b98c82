"""aiosmtpd: a mail server that keeps what it is given and prints each mail as a JSON line.

usage: mail_server.py plain|starttls|tls CERTFILE KEYFILE [USER PASSWORD]

The first line that it prints is its port.
"""

import asyncio
import json
import ssl
import sys
from email import message_from_bytes, policy

from aiosmtpd.smtp import SMTP, AuthResult, LoginPassword

mode, certfile, keyfile, *login = sys.argv[1:]


def say(what):
    print(json.dumps(what), flush=True)


class Keeper:
    async def handle_DATA(self, server, session, envelope):
        mail = message_from_bytes(envelope.content, policy=policy.default)
        parts = {part.get_content_type(): part.get_content() for part in mail.walk() if not part.is_multipart()}
        say(
            {
                "from": envelope.mail_from,
                "to": envelope.rcpt_tos,
                "tls": session.ssl is not None or mode == "tls",
                "login": bool(session.authenticated),
                "headers": {name.lower(): str(value) for name, value in mail.items()},
                "parts": parts,
                "defects": [str(defect) for defect in mail.defects],
            }
        )
        return "250 kept"


def admit(server, session, envelope, mechanism, data):
    known = LoginPassword(*(text.encode() for text in login))
    # Not handled: the server says itself what it thinks of the password.
    return AuthResult(success=data == known, handled=False)


def conversation():
    return SMTP(
        Keeper(),
        hostname="mail.test",
        tls_context=tls if mode == "starttls" else None,
        require_starttls=mode == "starttls",
        auth_required=bool(login),
        auth_require_tls=mode == "starttls",
        authenticator=admit if login else None,
    )


async def serve():
    server = await asyncio.get_running_loop().create_server(
        conversation, "127.0.0.1", 0, ssl=tls if mode == "tls" else None
    )
    say(server.sockets[0].getsockname()[1])
    await server.serve_forever()


tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
tls.load_cert_chain(certfile, keyfile)
asyncio.run(serve())
