//! Services that want a body of their own: templates that come with the gateway.

/// `POST /bot<token>/sendMessage`
pub(super) const TELEGRAM: &str = r#"{
    "chat_id": {{ to }},
    "text": {{ title ~ "\n\n" ~ message }},
    "disable_notification": {{ loudness == 0 }}
    {%- if url %},
    "reply_markup": {"inline_keyboard": [[{"text": "Open", "url": {{ url }}}]]}
    {%- endif %}
}"#;

/// `POST /message`
pub(super) const GOTIFY: &str = r#"{
    "title": {{ title }},
    "message": {{ message }},
    "priority": {{ [2, 4, 6, 9][loudness] }},
    "extras": {
        "client::display": {"contentType": "text/plain"}
        {%- if url %},
        "client::notification": {"click": {"url": {{ url }}}}
        {%- endif %}
    }
}"#;

/// `POST /1/messages.json`
pub(super) const PUSHOVER: &str = r#"{
    "token": {{ token }},
    "user": {{ to }},
    "title": {{ title }},
    "message": {{ message }},
    "priority": {{ [-1, 0, 1, 1][loudness] }}
    {%- if url %},
    "url": {{ url }},
    "url_title": "Open"
    {%- endif %}
}"#;
