//! Encrypts connections to Postgres with rustls, as `sslmode`, `sslrootcert`, `sslcert` and `sslkey` require.
//!
//! The options mean the same as in `psql`. `tls/verifiers.rs` checks certificates where `sslmode` requires less than a
//! full verification.

mod verifiers;

use std::{
    fs,
    path::{Path, PathBuf},
    pin::Pin,
    sync::Arc,
};

use rustls::{
    ClientConfig, RootCertStore,
    client::{WebPkiServerVerifier, danger::ServerCertVerifier},
    crypto::{CryptoProvider, ring},
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_postgres::{
    config::SslMode,
    tls::{MakeTlsConnect, TlsConnect},
};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::options::Settings;
use verifiers::{AnyCertificate, AnyName};

/// The TLS settings of a DSN, and the connector that applies them.
#[derive(Debug, Clone)]
pub(crate) struct Tls {
    mode: VerifyMode,
    root: Option<PathBuf>,
    certificate: Option<PathBuf>,
    key: Option<PathBuf>,
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
    /// `Err` if `sslmode` has an unknown value, or one that does not suit `sslrootcert=system`.
    pub(crate) fn new(settings: &Settings, uses_tcp: bool) -> Result<Tls, String> {
        let path = |name: &str| settings.get(name).map(PathBuf::from);
        let root = path("sslrootcert");
        let system = root.as_deref() == Some(Path::new(SYSTEM));
        let mode = match settings.get("sslmode").map(String::as_str) {
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
        };
        if system && mode != VerifyMode::VerifyFull {
            return Err("`sslrootcert=system` needs `sslmode=verify-full`".to_owned());
        }
        let mode = if uses_tcp { mode } else { VerifyMode::Disable };
        Ok(Tls { mode, root, certificate: path("sslcert"), key: path("sslkey") })
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
            .with_safe_default_protocol_versions()
            .map_err(|error| error.to_string())?
            .dangerous()
            .with_custom_certificate_verifier(self.verifier(&provider)?);
        let config = match self.client_certificate()? {
            Some((chain, key)) => builder
                .with_client_auth_cert(chain, key)
                .map_err(|error| format!("the client certificate cannot be used: {error}"))?,
            None => builder.with_no_client_auth(),
        };
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
        let chain =
            WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider))
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
        if self.mode == VerifyMode::Disable {
            return Ok(None);
        }
        let certificate = named_or_default(self.certificate.as_deref(), "postgresql.crt");
        let key = named_or_default(self.key.as_deref(), "postgresql.key");
        let (Some(certificate), Some(key)) = (certificate, key) else { return Ok(None) };
        let read = PrivateKeyDer::from_pem_file(&key);
        let secret = read.map_err(|error| format!("`{}`: {error}", key.display()))?;
        Ok(Some((certificates(&certificate)?, secret)))
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

/// A chain of certificates and the private key of the first one.
type Identity = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

/// Returns the path that was named, or else the file `default` in `~/.postgresql`. `None` if that
/// does not exist.
fn named_or_default(named: Option<&Path>, default: &str) -> Option<PathBuf> {
    named.map(Path::to_owned).or_else(|| {
        let home = std::env::var_os("HOME")?;
        Some(PathBuf::from(home).join(".postgresql").join(default)).filter(|path| path.exists())
    })
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let shown = path.display();
    let pem = fs::read(path).map_err(|error| format!("`{shown}`: {error}"))?;
    let read: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
    match read {
        Ok(certificates) if certificates.is_empty() => {
            Err(format!("`{shown}` contains no certificate"))
        }
        Ok(certificates) => Ok(certificates),
        Err(error) => Err(format!("`{shown}`: {error}")),
    }
}
