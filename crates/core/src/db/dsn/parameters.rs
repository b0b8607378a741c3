//! The parameters of libpq, the environment variables with their defaults, and what rework does with each of them.
//! docs/cli.md has the table for users.

use std::collections::BTreeMap;

use Treatment::{Ignored, Refused, Used};

/// Values of parameters by their names.
pub(crate) type Settings = BTreeMap<String, String>;

/// The treatment of a parameter.
#[derive(Debug, Clone, Copy)]
enum Treatment {
    /// The parameter has its meaning.
    Used,
    /// The parameter has no effect, for this reason.
    Ignored(&'static str),
    /// The parameter is refused for the reason `why`, unless it has one of the values `except`. These ask for nothing
    /// that rework does not do.
    Refused { except: &'static [&'static str], why: &'static str },
}

/// A parameter: its name, the environment variable with its default, and what rework does with it.
type Parameter = (&'static str, Option<&'static str>, Treatment);

const NO_GSSAPI: &str = "rework does not use GSSAPI";
const OWN_NAMES: &str =
    "each process of rework names its own connections, such as `rework worker 12`";
const NO_OAUTH: &str = "rework cannot log in with OAuth";
const NO_SCRAM_KEYS: &str = "rework cannot log in with keys of SCRAM; give it the password";

const PARAMETERS: &[Parameter] = &[
    ("host", Some("PGHOST"), Used),
    ("hostaddr", Some("PGHOSTADDR"), Used),
    ("port", Some("PGPORT"), Used),
    ("dbname", Some("PGDATABASE"), Used),
    ("user", Some("PGUSER"), Used),
    ("password", Some("PGPASSWORD"), Used),
    ("passfile", Some("PGPASSFILE"), Used),
    ("service", Some("PGSERVICE"), Used),
    ("servicefile", Some("PGSERVICEFILE"), Used),
    ("target_session_attrs", Some("PGTARGETSESSIONATTRS"), Used),
    ("load_balance_hosts", Some("PGLOADBALANCEHOSTS"), Used),
    ("connect_timeout", Some("PGCONNECT_TIMEOUT"), Used),
    ("keepalives", None, Used),
    ("keepalives_idle", None, Used),
    ("keepalives_interval", None, Used),
    ("keepalives_count", None, Used),
    ("tcp_user_timeout", None, Used),
    ("options", Some("PGOPTIONS"), Used),
    ("channel_binding", Some("PGCHANNELBINDING"), Used),
    ("sslmode", Some("PGSSLMODE"), Used),
    ("requiressl", Some("PGREQUIRESSL"), Used),
    ("sslnegotiation", Some("PGSSLNEGOTIATION"), Used),
    ("sslrootcert", Some("PGSSLROOTCERT"), Used),
    ("sslcert", Some("PGSSLCERT"), Used),
    ("sslkey", Some("PGSSLKEY"), Used),
    ("sslcertmode", Some("PGSSLCERTMODE"), Used),
    ("sslcrl", Some("PGSSLCRL"), Used),
    ("sslcrldir", Some("PGSSLCRLDIR"), Used),
    ("sslsni", Some("PGSSLSNI"), Used),
    ("ssl_min_protocol_version", Some("PGSSLMINPROTOCOLVERSION"), Used),
    ("ssl_max_protocol_version", Some("PGSSLMAXPROTOCOLVERSION"), Used),
    ("application_name", Some("PGAPPNAME"), Ignored(OWN_NAMES)),
    ("fallback_application_name", None, Ignored(OWN_NAMES)),
    ("client_encoding", Some("PGCLIENTENCODING"), Ignored("rework always uses UTF-8")),
    ("sslcompression", Some("PGSSLCOMPRESSION"), Ignored("rework never compresses connections")),
    ("sslkeylogfile", None, Ignored("rework does not write the keys of a connection to a file")),
    ("krbsrvname", Some("PGKRBSRVNAME"), Ignored(NO_GSSAPI)),
    ("gsslib", Some("PGGSSLIB"), Ignored(NO_GSSAPI)),
    ("gssdelegation", Some("PGGSSDELEGATION"), Ignored(NO_GSSAPI)),
    (
        "max_protocol_version",
        Some("PGMAXPROTOCOLVERSION"),
        Ignored("rework uses version 3.0 of the protocol, which every server supports"),
    ),
    (
        "min_protocol_version",
        Some("PGMINPROTOCOLVERSION"),
        Refused { except: &["3.0"], why: "rework uses version 3.0 of the protocol" },
    ),
    (
        "gssencmode",
        Some("PGGSSENCMODE"),
        Refused {
            except: &["disable", "prefer"],
            why: "rework does not use GSSAPI; encrypt the connection with `sslmode`",
        },
    ),
    (
        "require_auth",
        Some("PGREQUIREAUTH"),
        Refused {
            except: &[],
            why: "rework cannot refuse a method of authentication; with `channel_binding=require` the server must \
                  prove that it knows the password",
        },
    ),
    (
        "requirepeer",
        Some("PGREQUIREPEER"),
        Refused {
            except: &[],
            why: "rework cannot check which user runs the server; protect the directory of its socket",
        },
    ),
    (
        "sslpassword",
        None,
        Refused {
            except: &[],
            why: "the key of the client must not be encrypted; `openssl pkey -in KEY -out FILE` decrypts it",
        },
    ),
    (
        "replication",
        None,
        Refused {
            except: &["false", "off", "no", "0"],
            why: "a connection for replication cannot execute the statements of rework",
        },
    ),
    ("scram_client_key", None, Refused { except: &[], why: NO_SCRAM_KEYS }),
    ("scram_server_key", None, Refused { except: &[], why: NO_SCRAM_KEYS }),
    ("oauth_issuer", None, Refused { except: &[], why: NO_OAUTH }),
    ("oauth_client_id", None, Refused { except: &[], why: NO_OAUTH }),
    ("oauth_client_secret", None, Refused { except: &[], why: NO_OAUTH }),
    ("oauth_scope", None, Refused { except: &[], why: NO_OAUTH }),
];

/// Returns whether libpq knows a parameter of this name.
pub(super) fn is_known(name: &str) -> bool {
    PARAMETERS.iter().any(|(known, ..)| *known == name)
}

/// Returns each parameter that has an environment variable, with the name of the variable.
pub(super) fn variables() -> impl Iterator<Item = (&'static str, &'static str)> {
    PARAMETERS.iter().filter_map(|(name, variable, _)| Some((*name, (*variable)?)))
}

/// Returns the first parameter that is refused, with the reason. `None` if all can be used.
pub(super) fn refused(settings: &Settings) -> Option<(&'static str, &'static str)> {
    PARAMETERS.iter().find_map(|(name, _, treatment)| {
        let Refused { except, why } = treatment else { return None };
        let value = settings.get(*name)?;
        (!except.contains(&value.as_str())).then_some((*name, *why))
    })
}

/// Returns a note for each parameter that has no effect.
pub(super) fn notes(settings: &Settings) -> impl Iterator<Item = String> {
    PARAMETERS.iter().filter_map(|(name, _, treatment)| {
        let Ignored(why) = treatment else { return None };
        settings.get(*name)?;
        Some(format!("the connection parameter `{name}` has no effect: {why}"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(pairs: &[(&str, &str)]) -> Settings {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn a_parameter_is_refused_only_with_a_value_that_rework_cannot_carry_out() {
        for (name, value, is_refused) in [
            ("gssencmode", "prefer", false),
            ("gssencmode", "require", true),
            ("replication", "off", false),
            ("replication", "database", true),
            ("require_auth", "scram-sha-256", true),
            ("application_name", "mine", false),
            ("sslmode", "require", false),
        ] {
            let refused = refused(&settings(&[(name, value)])).map(|(name, _)| name);
            assert_eq!(refused, is_refused.then_some(name), "{name}={value}");
        }
    }

    #[test]
    fn a_parameter_without_effect_gets_a_note() {
        let notes: Vec<String> =
            notes(&settings(&[("application_name", "mine"), ("host", "db")])).collect();
        assert_eq!(notes.len(), 1, "{notes:?}");
        assert!(notes[0].contains("`application_name` has no effect"), "{notes:?}");
    }

    #[test]
    fn the_page_names_every_parameter() {
        let page = include_str!("../../../../../docs/cli.md");
        for (name, ..) in PARAMETERS {
            assert!(page.contains(&format!("`{name}`")), "docs/cli.md does not name `{name}`");
        }
    }
}
