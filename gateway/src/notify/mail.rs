//! Notices as a mail: text for every reader, and HTML with the facts and the last days. No images, nothing that is
//! fetched from elsewhere.

use std::time::{Duration, UNIX_EPOCH};

use lettre::Message;
use lettre::message::header::{HeaderName, HeaderValue};
use lettre::message::{Mailbox, MultiPart};

use super::chart::Days;
use super::{Bundle, House, fingerprint, words};
use crate::alert::{Notice, Severity};
use crate::config::Email;

/// A mail, ready to be handed to a server.
pub(super) type Mail = Message;

/// Writes the mail. Its Message-ID follows from the bundle's key, so that a mail that comes twice is known.
///
/// # Errors
/// Why it cannot be written: an address that is none.
pub(super) fn compose(email: &Email, bundle: &Bundle, days: Option<&Days>) -> Result<Mail, String> {
    let from = mailbox(&email.from)?;
    let domain = from.email.domain().to_owned();
    let newest = bundle.newest.last();
    let at_ms = newest.map_or(0, |notice| notice.at_ms.max(0));
    let date = UNIX_EPOCH + Duration::from_millis(at_ms.unsigned_abs());
    let id = |text: &str| format!("<{}@{domain}>", fingerprint(text, 16));
    let mut mail = Message::builder()
        .from(from)
        .subject(bundle.title())
        .date(date)
        .message_id(Some(id(bundle.key())))
        .raw_header(header("Auto-Submitted", "auto-generated"))
        .raw_header(header("Idempotency-Key", bundle.key()));
    if let [one] = &*bundle.newest {
        // All mails of one episode are one conversation.
        let claim = &one.alert.claim;
        let episode = format!("{}/{}/{}", bundle.house.site, claim.id, one.alert.episode);
        mail = mail.references(id(&episode));
    }
    if bundle.loudness() == Some(Severity::Critical) {
        mail = mail.raw_header(header("Importance", "high"));
    }
    for to in &email.to {
        mail = mail.to(mailbox(to)?);
    }
    let parts = MultiPart::alternative_plain_html(text(bundle, days), html(bundle, days));
    mail.multipart(parts).map_err(|error| error.to_string())
}

fn mailbox(text: &str) -> Result<Mailbox, String> {
    text.parse()
        .map_err(|error| format!("{text:?} is not an address: {error}"))
}

fn header(name: &'static str, value: &str) -> HeaderValue {
    HeaderValue::new(HeaderName::new_from_ascii_str(name), value.to_owned())
}

/// The subject whose days are shown: of a single alert.
pub(super) fn subject(bundle: &Bundle) -> Option<&str> {
    match &*bundle.newest {
        [one] => Some(&one.alert.claim.subject),
        _ => None,
    }
}

fn text(bundle: &Bundle, days: Option<&Days>) -> String {
    let house = &bundle.house;
    let mut text = String::new();
    for notice in &bundle.newest {
        if bundle.newest.len() > 1 {
            text += &format!("{}\n", words::one_title(notice, house));
        }
        text += &format!("{}\n\n", words::one_message(notice, house));
    }
    if let Some(days) = days {
        text += &format!("The last days:\n{}\n", days.text());
    }
    if let Some(url) = &house.ack_url {
        text += &format!("{url}\n");
    }
    text += &format!("-- \nSluice at {}\n", house.site);
    text
}

fn html(bundle: &Bundle, days: Option<&Days>) -> String {
    let house = &bundle.house;
    let mut body = String::new();
    for notice in &bundle.newest {
        body += &one(notice, house);
    }
    if let Some(days) = days {
        body += &format!("<h3>The last days</h3>\n{}", days.html());
    }
    if let Some(url) = &house.ack_url {
        let url = escaped(url);
        body += &format!("<p><a href=\"{url}\">{url}</a></p>\n");
    }
    format!(
        "<!DOCTYPE html>\n<html><head><meta charset=\"utf-8\"></head>\n<body style=\"font-family:sans-serif\">\n\
         {body}<p style=\"color:#777777\">Sluice at {}</p>\n</body></html>\n",
        escaped(&house.site)
    )
}

fn one(notice: &Notice, house: &House) -> String {
    let claim = &notice.alert.claim;
    let colour = match words::loudness(notice) {
        None => "#3a7d44",
        Some(Severity::Info) => "#2a78b8",
        Some(Severity::Warning) => "#b8680a",
        Some(Severity::Critical) => "#b3261e",
    };
    let message = escaped(&words::one_message(notice, house)).replace('\n', "<br>\n");
    let flow = claim.flow.as_ref().map(|flow| {
        format!(
            "{:.1} to {:.1} {}, most likely {:.1}",
            flow.low, flow.high, flow.unit, flow.best
        )
    });
    let facts = [
        ("Where", Some(claim.subject.clone())),
        ("Flow", flow),
        ("So far", words::total(claim)),
        (
            "Rule",
            Some(claim.rule.clone()).filter(|rule| !rule.is_empty()),
        ),
        ("Decided", Some(house.time(claim.raised_ms))),
    ];
    let rows = facts.into_iter().filter_map(|(name, fact)| {
        let fact = escaped(&fact?);
        Some(format!(
            "<tr><td style=\"color:#777777\">{name}</td><td>{fact}</td></tr>\n"
        ))
    });
    format!(
        "<h2 style=\"color:{colour}\">{}</h2>\n<p>{message}</p>\n<table cellpadding=\"2\">\n{}</table>\n",
        escaped(&words::one_title(notice, house)),
        rows.collect::<String>()
    )
}

/// Text as HTML shows it.
pub(super) fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            other => escaped.push(other),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alert::What;
    use crate::config::Encryption;
    use crate::notify::chart::DayValue;
    use crate::notify::sample::{bundle, leak, notice, silent};
    use crate::rows::when::Date;

    fn email() -> Email {
        Email {
            host: "127.0.0.1".to_owned(),
            port: 25,
            encryption: Encryption::Plain,
            username: None,
            password_file: None,
            ca_file: None,
            from: "Sluice <sluice@example.org>".to_owned(),
            to: vec![
                "ann@example.org".to_owned(),
                "Bob <bob@example.org>".to_owned(),
            ],
        }
    }

    fn written(notices: Vec<crate::alert::Notice>, days: Option<&Days>) -> String {
        let mail = compose(&email(), &bundle(notices), days).expect("addresses are addresses");
        String::from_utf8(mail.formatted()).expect("a mail is ASCII")
    }

    #[test]
    fn a_mail_that_is_sent_again_is_known_by_its_message_id() {
        let line = |mail: &str, name: &str| {
            let found = mail.lines().find(|line| line.starts_with(name));
            found.map(str::to_owned)
        };
        let mail = written(vec![notice(What::Fired, leak())], None);
        let again = written(vec![notice(What::Fired, leak())], None);
        assert_eq!(line(&mail, "Message-ID: "), line(&again, "Message-ID: "));
        let id = line(&mail, "Message-ID: ").expect("an id");
        assert!(id.ends_with("@example.org>"), "{id}");
        let mut worse = notice(What::Worsened, leak());
        worse.alert.notices = 2;
        let worse = written(vec![worse], None);
        assert_ne!(line(&worse, "Message-ID: "), line(&mail, "Message-ID: "));
        assert_eq!(line(&worse, "References: "), line(&mail, "References: "));
        for expected in [
            "Subject: Leak: 4.8 L/h at Wtot",
            "Date: Tue, 24 Nov 2026 00:00:00 +0000",
            "Auto-Submitted: auto-generated",
            "Idempotency-Key: home/persist-Wtot/1/1",
            "To: ann@example.org, Bob <bob@example.org>",
        ] {
            assert!(
                mail.lines().any(|line| line == expected),
                "{expected} in {mail}"
            );
        }
    }

    #[test]
    fn the_html_holds_the_facts_and_the_days_and_fetches_nothing() {
        let days = Days {
            unit: "L".to_owned(),
            values: vec![DayValue {
                day: Date::from_number(20_781).expect("a day"),
                value: 120.0,
            }],
        };
        let mut bundle = bundle(vec![notice(What::Fired, leak())]);
        bundle.newest[0].alert.claim.text = "<img src=x> & \"so\"".to_owned();
        let html = html(&bundle, Some(&days));
        for part in [
            "4.5 to 5.1 L/h, most likely 4.8",
            "120 L, 0.48 EUR",
            "24 h &gt; 0.5 L/h",
            "2026-11-24",
            "bgcolor",
            "&lt;img src=x&gt; &amp; &quot;so&quot;",
        ] {
            assert!(html.contains(part), "{part} in {html}");
        }
        for forbidden in ["<img", "src=\"", "<script", "<link", "url("] {
            assert!(!html.contains(forbidden), "{forbidden} in {html}");
        }
    }

    #[test]
    fn a_mail_of_several_names_each() {
        let bundle = bundle(vec![
            notice(What::Cleared, leak()),
            notice(What::Fired, silent()),
        ]);
        let text = text(&bundle, None);
        assert!(text.contains("Over: leak at Wtot\nIt is over"), "{text}");
        assert!(text.contains("Silent: TH1\nTH1 has said nothing"), "{text}");
        assert_eq!(subject(&bundle), None);
    }
}
