//! What a certificate says: whose it is and until when. Whether it may be believed is decided before,
//! by rustls.

use x509_cert::Certificate;
use x509_cert::der::asn1::{Ia5StringRef, PrintableStringRef, Utf8StringRef};
use x509_cert::der::oid::ObjectIdentifier;
use x509_cert::der::{Decode, Tag, Tagged};
use x509_cert::ext::pkix::SubjectAltName;
use x509_cert::ext::pkix::name::GeneralName;

use crate::broker::limits::CERTIFIED_NAME_BYTES;

/// `id-at-commonName`, RFC 5280.
const COMMON_NAME: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.4.3");

/// The user that a client's certificate names: the subject's first common name; where it has none, its
/// first alternative name that is a DNS name or an e-mail address.
///
/// `None`: it names nobody. A name that is empty, longer than [`CERTIFIED_NAME_BYTES`], not text or
/// holds a control character is no name, and no other is looked for in its place.
#[must_use]
pub fn name(der: &[u8]) -> Option<String> {
    let certificate = Certificate::from_der(der).ok()?;
    let tbs = certificate.tbs_certificate();
    let common = tbs
        .subject()
        .iter()
        .find(|attribute| attribute.oid == COMMON_NAME);
    let text = match common {
        Some(attribute) => directory_text(attribute.value.tag(), attribute.value.value())?,
        None => alternative(&certificate)?,
    };
    let fits = (1..=CERTIFIED_NAME_BYTES).contains(&text.len());
    (fits && !text.chars().any(char::is_control)).then_some(text)
}

/// When a certificate ends, epoch seconds. `None`: it cannot be parsed.
#[must_use]
pub fn expires_s(der: &[u8]) -> Option<i64> {
    let certificate = Certificate::from_der(der).ok()?;
    let end = certificate.tbs_certificate().validity().not_after;
    i64::try_from(end.to_unix_duration().as_secs()).ok()
}

/// The forms of text that are Unicode; the others of X.520 died out before MQTT.
fn directory_text(tag: Tag, value: &[u8]) -> Option<String> {
    let text = match tag {
        Tag::Utf8String => Utf8StringRef::new(value).ok()?.as_str().to_owned(),
        Tag::PrintableString => PrintableStringRef::new(value).ok()?.as_str().to_owned(),
        Tag::Ia5String => Ia5StringRef::new(value).ok()?.as_str().to_owned(),
        _ => return None,
    };
    Some(text)
}

fn alternative(certificate: &Certificate) -> Option<String> {
    let (_, names): (bool, SubjectAltName) =
        certificate.tbs_certificate().get_extension().ok()??;
    names.0.iter().find_map(|name| match name {
        GeneralName::DnsName(text) | GeneralName::Rfc822Name(text) => {
            Some(text.as_str().to_owned())
        }
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use rcgen::{CertificateParams, DistinguishedName, DnType, DnValue, KeyPair, SanType};

    fn certificate(common: Option<DnValue>, alternatives: Vec<SanType>) -> Vec<u8> {
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        params
            .distinguished_name
            .push(DnType::OrganizationName, "not this");
        if let Some(common) = common {
            params.distinguished_name.push(DnType::CommonName, common);
        }
        params.subject_alt_names = alternatives;
        params.not_after = rcgen::date_time_ymd(2031, 2, 3);
        let key = KeyPair::generate().expect("a key");
        let certificate = params.self_signed(&key).expect("a certificate");
        certificate.der().to_vec()
    }

    fn dns(text: &str) -> SanType {
        SanType::DnsName(text.try_into().expect("a DNS name"))
    }

    fn mail(text: &str) -> SanType {
        SanType::Rfc822Name(text.try_into().expect("an address"))
    }

    #[test]
    fn the_common_name_comes_first_then_the_first_dns_name_or_address() {
        let common = |text: &str| Some(DnValue::Utf8String(text.to_owned()));
        let printable = DnValue::PrintableString("pump".try_into().expect("printable"));
        let here = SanType::IpAddress([192, 0, 2, 1].into());
        for (der, expected) in [
            (
                certificate(common("küche"), vec![dns("a.b")]),
                Some("küche"),
            ),
            (certificate(Some(printable), vec![]), Some("pump")),
            (
                certificate(None, vec![here.clone(), mail("a@b.c"), dns("a.b")]),
                Some("a@b.c"),
            ),
            (certificate(None, vec![dns("a.b")]), Some("a.b")),
            (certificate(None, vec![here]), None),
            (certificate(common(""), vec![dns("a.b")]), None),
            (certificate(common("admin\0"), vec![dns("a.b")]), None),
            (certificate(common(&"x".repeat(257)), vec![]), None),
        ] {
            assert_eq!(name(&der).as_deref(), expected);
        }
        assert_eq!(name(b"no certificate"), None);
    }

    #[test]
    fn the_end_is_that_of_the_certificate() {
        // 2031-02-03T00:00:00Z
        assert_eq!(expires_s(&certificate(None, vec![])), Some(1_927_843_200));
        assert_eq!(expires_s(&[]), None);
    }
}
