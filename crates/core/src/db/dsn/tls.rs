//! Encryption of the way to Postgres: what `sslmode` and its files mean, carried out by rustls.

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
use verifiers::{AnyName, Trusting};

/// How a connection is encrypted.
#[derive(Debug, Clone)]
pub(crate) struct Tls {
    mode: Mode,
    root: Option<PathBuf>,
    certificate: Option<PathBuf>,
    key: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    Disable,
    Prefer,
    Require,
    VerifyCa,
    VerifyFull,
}

/// The word for what the system trusts.
const SYSTEM: &str = "system";

impl Tls {
    /// `remote`: not by a socket of this machine, where nobody listens in.
    pub(crate) fn new(settings: &Settings, remote: bool) -> Result<Tls, String> {
        let path = |name: &str| settings.get(name).map(PathBuf::from);
        let root = path("sslrootcert");
        let system = root.as_deref() == Some(Path::new(SYSTEM));
        let mode = match settings.get("sslmode").map(String::as_str) {
            None if system => Mode::VerifyFull,
            None | Some("allow" | "prefer") => Mode::Prefer,
            Some("disable") => Mode::Disable,
            Some("require") => Mode::Require,
            Some("verify-ca") => Mode::VerifyCa,
            Some("verify-full") => Mode::VerifyFull,
            Some(other) => {
                return Err(format!(
                    "`sslmode={other}` is none of `disable`, `allow`, `prefer`, `require`, `verify-ca` \
                     and `verify-full`"
                ));
            }
        };
        if system && mode != Mode::VerifyFull {
            return Err("`sslrootcert=system` needs `sslmode=verify-full`".to_owned());
        }
        let mode = if remote { mode } else { Mode::Disable };
        Ok(Tls { mode, root, certificate: path("sslcert"), key: path("sslkey") })
    }

    /// What the server is asked for.
    pub(crate) fn asked(&self) -> SslMode {
        match self.mode {
            Mode::Disable => SslMode::Disable,
            Mode::Prefer => SslMode::Prefer,
            Mode::Require | Mode::VerifyCa | Mode::VerifyFull => SslMode::Require,
        }
    }

    /// For one connection: files are read anew, since certificates are renewed.
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

    fn verifier(
        &self,
        provider: &Arc<CryptoProvider>,
    ) -> Result<Arc<dyn ServerCertVerifier>, String> {
        if self.mode == Mode::Disable {
            return Ok(Arc::new(Trusting(Arc::clone(provider))));
        }
        let roots = self.roots()?;
        // As `psql`: a file of roots is there to be used.
        let by_name = match (self.mode, &roots) {
            (Mode::VerifyFull, _) => true,
            (Mode::VerifyCa, _) | (Mode::Require, Some(_)) => false,
            _ => return Ok(Arc::new(Trusting(Arc::clone(provider)))),
        };
        let roots = roots.ok_or(
            "there is no file of root certificates to verify the server with: `sslrootcert=FILE`, or \
             `sslrootcert=system`",
        )?;
        let chain =
            WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider))
                .build()
                .map_err(|error| error.to_string())?;
        Ok(if by_name { chain } else { Arc::new(AnyName(chain)) })
    }

    /// None: no file was named, and none is at the usual place.
    fn roots(&self) -> Result<Option<RootCertStore>, String> {
        let mut roots = RootCertStore::empty();
        if self.root.as_deref() == Some(Path::new(SYSTEM)) {
            for certificate in rustls_native_certs::load_native_certs().certs {
                // A system may trust what rustls cannot read.
                let _ = roots.add(certificate);
            }
            return Ok(Some(roots));
        }
        let Some(path) = named_or_usual(self.root.as_deref(), "root.crt") else { return Ok(None) };
        for certificate in certificates(&path)? {
            roots.add(certificate).map_err(|error| format!("`{}`: {error}", path.display()))?;
        }
        Ok(Some(roots))
    }

    fn client_certificate(&self) -> Result<Option<Identity>, String> {
        if self.mode == Mode::Disable {
            return Ok(None);
        }
        let certificate = named_or_usual(self.certificate.as_deref(), "postgresql.crt");
        let key = named_or_usual(self.key.as_deref(), "postgresql.key");
        let (Some(certificate), Some(key)) = (certificate, key) else { return Ok(None) };
        let read = PrivateKeyDer::from_pem_file(&key);
        let secret = read.map_err(|error| format!("`{}`: {error}", key.display()))?;
        Ok(Some((certificates(&certificate)?, secret)))
    }
}

/// Nothing of it is made, and no file read, until a server does encrypt.
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

/// A handshake to come.
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

type Identity = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

fn named_or_usual(named: Option<&Path>, usual: &str) -> Option<PathBuf> {
    named.map(Path::to_owned).or_else(|| {
        let home = std::env::var_os("HOME")?;
        Some(PathBuf::from(home).join(".postgresql").join(usual)).filter(|path| path.exists())
    })
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let shown = path.display();
    let pem = fs::read(path).map_err(|error| format!("`{shown}`: {error}"))?;
    let read: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
    match read {
        Ok(certificates) if certificates.is_empty() => {
            Err(format!("`{shown}` holds no certificate"))
        }
        Ok(certificates) => Ok(certificates),
        Err(error) => Err(format!("`{shown}`: {error}")),
    }
}
