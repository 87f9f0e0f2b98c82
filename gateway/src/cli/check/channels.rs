//! The files of alert channels: secrets, templates, certificates. They are read as the daemon does at each send;
//! nothing is sent.

use std::path::Path;

use super::{Found, Weight, of_tls, problem};
use crate::config::{Config, NamedFile, Problem, Receiver};
use crate::notify::{Exposure, House, TemplateError, check_template, read_secret};
use crate::tls::client::{self, ClientError};

pub(super) fn files(config: &Config, path: &Path, found: &mut Found) {
    for channel in &config.alert.channels {
        for file in channel.secrets() {
            secret(file, path, found);
        }
        let ca = channel.ca_file();
        if let Some(Err(ClientError::File(error))) = ca.map(|ca| client::config(Some(ca))) {
            found.add(of_tls(&error), problem(&error, path));
        }
        if let Receiver::Webhook {
            template: Some(file),
            ..
        } = &channel.receiver
        {
            template(file, House::of(config), path, found);
        }
    }
}

fn secret(file: &NamedFile, path: &Path, found: &mut Found) {
    match read_secret(file) {
        Ok((_, Exposure::Owner)) => {}
        Ok((_, exposure @ (Exposure::Group | Exposure::World))) => {
            let who = match exposure {
                Exposure::Owner | Exposure::Group => "its group",
                Exposure::World => "everybody on this machine",
            };
            let name = file.path.display();
            let text = format!(
                "{name} can be read by {who}: `chmod 600 {name}`, with the user of the daemon as its owner, keeps \
                 the secret"
            );
            found.add(Weight::Remark, at(file, path, text));
        }
        Err(error) if error.is_a_lack_of_permission() => {
            let text = format!(
                "cannot read {}: permission denied; whether it is good is only known to the user that the daemon runs \
                 as: check as that user",
                file.path.display()
            );
            found.add(Weight::Remark, at(file, path, text));
        }
        Err(error) => found.add(Weight::Wrong, at(file, path, error.to_string())),
    }
}

fn template(file: &NamedFile, house: House, path: &Path, found: &mut Found) {
    match check_template(file, house) {
        Ok(()) => {}
        Err(error @ TemplateError::Unreadable { .. }) => {
            let why = std::error::Error::source(&error).map(ToString::to_string);
            let text = format!("{error}: {}", why.unwrap_or_default());
            found.add(Weight::Wrong, at(file, path, text));
        }
        Err(error @ TemplateError::Wrong { .. }) => {
            found.add(Weight::Wrong, at(file, path, error.to_string()));
        }
    }
}

fn at(file: &NamedFile, path: &Path, text: String) -> Problem {
    Problem {
        file: path.display().to_string(),
        line: Some(file.line),
        key: file.key.clone(),
        text,
    }
}
