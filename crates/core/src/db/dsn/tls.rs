//! Encrypts connections to Postgres with rustls, as the parameters `ssl…` require.
//!
//! The parameters mean the same as in `psql`. `tls/verifiers.rs` checks certificates where `sslmode` requires less than
//! a full verification. `tls/files.rs` reads certificates, keys and lists of revoked certificates.

mod files;
mod verifiers;
mod versions;

use std::{
    path::{Path, PathBuf},
    pin::Pin,
    sync::Arc,
};

use rustls::{
    ClientConfig, RootCertStore, SupportedProtocolVersion,
    client::{WebPkiServerVerifier, danger::ServerCertVerifier},
    crypto::{CryptoProvider, ring},
};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_postgres::{
    config::{SslMode, SslNegotiation},
    tls::{MakeTlsConnect, TlsConnect},
};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::parameters::Settings;
use files::{Identity, certificates, identity, named_or_default, revocation_lists};
use verifiers::{AnyCertificate, AnyName};
use versions::protocol_versions;

/// The TLS settings of a DSN, and the connector that applies them.
#[derive(Debug, Clone)]
pub(crate) struct Tls {
    mode: VerifyMode,
    /// Whether the handshake starts at once, without the request for encryption of the protocol of Postgres.
    is_direct: bool,
    root: Option<PathBuf>,
    certificate: Option<PathBuf>,
    key: Option<PathBuf>,
    /// Whether the certificate of the client is sent.
    sends_certificate: bool,
    /// The file with the lists of revoked certificates.
    revoked: Option<PathBuf>,
    /// The directory with files of such lists.
    revoked_folder: Option<PathBuf>,
    /// Whether the name of the server is sent (SNI).
    sends_name: bool,
    versions: Vec<&'static SupportedProtocolVersion>,
}

/// The value of `sslmode`. `allow` is treated as `Prefer`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum VerifyMode {
    Disable,
    Prefer,
    Require,
    VerifyCa,
    VerifyFull,
}

/// The value of `sslrootcert` that means the root certificates of the operating system.
const SYSTEM: &str = "system";

impl Tls {
    /// Reads the TLS options. Without TCP (`uses_tcp` is false) nothing is encrypted, as Postgres has no TLS over a
    /// Unix socket.
    ///
    /// # Errors
    ///
    /// `Err` if a parameter has an unknown value, or one that does not suit the others.
    pub(crate) fn new(settings: &Settings, uses_tcp: bool) -> Result<Tls, String> {
        let path = |name: &str| settings.get(name).map(PathBuf::from);
        let choice = |name: &str| settings.get(name).map(String::as_str);
        let root = path("sslrootcert");
        let system = root.as_deref() == Some(Path::new(SYSTEM));
        let mode = VerifyMode::parse(choice("sslmode"), system)?;
        if system && mode != VerifyMode::VerifyFull {
            return Err("`sslrootcert=system` needs `sslmode=verify-full`".to_owned());
        }
        let mode = if uses_tcp { mode } else { VerifyMode::Disable };
        let is_direct = match choice("sslnegotiation") {
            None | Some("postgres") => false,
            Some("direct") if uses_tcp && mode.may_be_unencrypted() => {
                return Err(
                    "`sslnegotiation=direct` needs `sslmode=require`, `verify-ca` or `verify-full`"
                        .to_owned(),
                );
            }
            Some("direct") => uses_tcp,
            Some(other) => {
                return Err(format!(
                    "`sslnegotiation={other}` is not valid: write `postgres` or `direct`"
                ));
            }
        };
        let sends_certificate = match choice("sslcertmode") {
            None | Some("allow") => true,
            Some("disable") => false,
            Some(other) => {
                return Err(format!(
                    "`sslcertmode={other}` cannot be carried out: write `allow` or `disable`"
                ));
            }
        };
        Ok(Tls {
            mode,
            is_direct,
            root,
            certificate: path("sslcert"),
            key: path("sslkey"),
            sends_certificate,
            revoked: path("sslcrl"),
            revoked_folder: path("sslcrldir"),
            sends_name: choice("sslsni") != Some("0"),
            versions: protocol_versions(settings)?,
        })
    }

    /// Returns how `tokio_postgres` starts the encryption.
    pub(crate) fn negotiation(&self) -> SslNegotiation {
        if self.is_direct { SslNegotiation::Direct } else { SslNegotiation::Postgres }
    }

    /// Returns the mode that `tokio_postgres` negotiates with the server.
    pub(crate) fn requested_mode(&self) -> SslMode {
        match self.mode {
            VerifyMode::Disable => SslMode::Disable,
            VerifyMode::Prefer => SslMode::Prefer,
            VerifyMode::Require | VerifyMode::VerifyCa | VerifyMode::VerifyFull => SslMode::Require,
        }
    }

    /// Creates the connector for one connection. It reads the files each time, because certificates are renewed.
    fn connector(&self) -> Result<MakeRustlsConnect, String> {
        let provider = Arc::new(ring::default_provider());
        let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(&self.versions)
            .map_err(|error| error.to_string())?
            .dangerous()
            .with_custom_certificate_verifier(self.verifier(&provider)?);
        let mut config = match self.client_certificate()? {
            Some((chain, key)) => builder
                .with_client_auth_cert(chain, key)
                .map_err(|error| format!("the client certificate cannot be used: {error}"))?,
            None => builder.with_no_client_auth(),
        };
        config.enable_sni = self.sends_name;
        if self.is_direct {
            config.alpn_protocols = vec![b"postgresql".to_vec()];
        }
        Ok(MakeRustlsConnect::new(config))
    }

    /// Returns the check that the server's certificate must pass.
    fn verifier(
        &self,
        provider: &Arc<CryptoProvider>,
    ) -> Result<Arc<dyn ServerCertVerifier>, String> {
        if self.mode == VerifyMode::Disable {
            return Ok(Arc::new(AnyCertificate(Arc::clone(provider))));
        }
        let roots = self.roots()?;
        // Like `psql`, `require` verifies the chain of certificates if a file of root certificates exists.
        let verify_name = match (self.mode, &roots) {
            (VerifyMode::VerifyFull, _) => true,
            (VerifyMode::VerifyCa, _) | (VerifyMode::Require, Some(_)) => false,
            _ => return Ok(Arc::new(AnyCertificate(Arc::clone(provider)))),
        };
        let roots = roots.ok_or(
            "there are no root certificates to verify the server with: set `sslrootcert=FILE` or \
             `sslrootcert=system`",
        )?;
        let revoked = revocation_lists(self.revoked.as_deref(), self.revoked_folder.as_deref())?;
        let chain =
            WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider))
                .with_crls(revoked)
                .enforce_revocation_expiration()
                .build()
                .map_err(|error| error.to_string())?;
        Ok(if verify_name { chain } else { Arc::new(AnyName(chain)) })
    }

    /// Returns the root certificates, or `None` if no file was named and `~/.postgresql/root.crt` does not exist.
    fn roots(&self) -> Result<Option<RootCertStore>, String> {
        let mut roots = RootCertStore::empty();
        if self.root.as_deref() == Some(Path::new(SYSTEM)) {
            for certificate in rustls_native_certs::load_native_certs().certs {
                // The system's store may contain certificates that rustls cannot read: skip them.
                let _ = roots.add(certificate);
            }
            return Ok(Some(roots));
        }
        let Some(path) = named_or_default(self.root.as_deref(), "root.crt") else {
            return Ok(None);
        };
        for certificate in certificates(&path)? {
            roots.add(certificate).map_err(|error| format!("`{}`: {error}", path.display()))?;
        }
        Ok(Some(roots))
    }

    /// Returns the client's certificate and key, or `None` if one of the two files is missing.
    fn client_certificate(&self) -> Result<Option<Identity>, String> {
        if self.mode == VerifyMode::Disable || !self.sends_certificate {
            return Ok(None);
        }
        identity(self.certificate.as_deref(), self.key.as_deref())
    }
}

impl VerifyMode {
    /// Returns whether a connection may be without encryption.
    fn may_be_unencrypted(self) -> bool {
        matches!(self, VerifyMode::Disable | VerifyMode::Prefer)
    }

    /// Parses `sslmode`. `system`: the root certificates are those of the operating system, which are only used for a
    /// full verification.
    fn parse(text: Option<&str>, system: bool) -> Result<VerifyMode, String> {
        Ok(match text {
            None if system => VerifyMode::VerifyFull,
            None | Some("allow" | "prefer") => VerifyMode::Prefer,
            Some("disable") => VerifyMode::Disable,
            Some("require") => VerifyMode::Require,
            Some("verify-ca") => VerifyMode::VerifyCa,
            Some("verify-full") => VerifyMode::VerifyFull,
            Some(other) => {
                return Err(format!(
                    "`sslmode={other}` is not valid: write `disable`, `allow`, `prefer`, `require`, `verify-ca` \
                     or `verify-full`"
                ));
            }
        })
    }
}

/// Delays reading the files until the server has agreed to encrypt: `tokio_postgres` also asks for a connector if the
/// server then refuses TLS.
impl<S> MakeTlsConnect<S> for Tls
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    type Stream = Stream<S>;
    type TlsConnect = Handshake;
    type Error = std::io::Error;

    fn make_tls_connect(&mut self, domain: &str) -> Result<Handshake, std::io::Error> {
        Ok(Handshake { tls: self.clone(), domain: domain.to_owned() })
    }
}

type Stream<S> = <MakeRustlsConnect as MakeTlsConnect<S>>::Stream;

/// A TLS handshake that has not started. It reads the files when it starts.
pub(crate) struct Handshake {
    tls: Tls,
    domain: String,
}

impl<S> TlsConnect<S> for Handshake
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    type Stream = Stream<S>;
    type Error = Box<dyn std::error::Error + Send + Sync>;
    type Future = Pin<Box<dyn Future<Output = Result<Stream<S>, Self::Error>> + Send>>;

    fn connect(self, stream: S) -> Self::Future {
        Box::pin(async move {
            let mut connector = self.tls.connector()?;
            let ready = MakeTlsConnect::<S>::make_tls_connect(&mut connector, &self.domain)?;
            Ok(ready.connect(stream).await?)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tls(pairs: &[(&str, &str)]) -> Result<Tls, String> {
        let settings =
            pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Tls::new(&settings, true)
    }

    #[test]
    fn parameters_that_contradict_each_other_are_refused() {
        for pairs in [
            vec![("sslmode", "on")],
            vec![("sslrootcert", "system"), ("sslmode", "require")],
            vec![("sslnegotiation", "direct")],
            vec![("sslnegotiation", "fast"), ("sslmode", "require")],
            vec![("sslcertmode", "require")],
            vec![("ssl_max_protocol_version", "TLSv1.1")],
            vec![("ssl_min_protocol_version", "SSLv3")],
        ] {
            assert!(tls(&pairs).is_err(), "{pairs:?}");
        }
    }

    #[test]
    fn versions_between_the_limits_are_used() {
        let count = |pairs: &[(&str, &str)]| tls(pairs).unwrap().versions.len();
        assert_eq!(count(&[]), 2);
        assert_eq!(count(&[("ssl_min_protocol_version", "tlsv1.3")]), 1);
        assert_eq!(count(&[("ssl_min_protocol_version", "TLSv1")]), 2);
        assert_eq!(count(&[("ssl_max_protocol_version", "TLSv1.2")]), 1);
        let direct = tls(&[("sslnegotiation", "direct"), ("sslmode", "require")]).unwrap();
        assert_eq!(direct.negotiation(), SslNegotiation::Direct);
    }
}
