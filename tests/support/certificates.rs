//! TLS certificates for tests of encrypted connections, issued by a certificate authority that the test makes.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};

/// A certificate authority. `folder` receives the files of its certificates and keys.
pub(crate) struct CertificateAuthority {
    folder: PathBuf,
    issuer: CertifiedIssuer<'static, KeyPair>,
}

impl CertificateAuthority {
    /// Makes an authority and writes its own certificate to `folder/NAME.crt`.
    pub(crate) fn new(folder: &Path, name: &str) -> CertificateAuthority {
        let mut params = CertificateParams::new(Vec::<String>::new()).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let authority = CertificateAuthority { folder: folder.to_owned(), issuer };
        authority.write(&format!("{name}.crt"), &authority.issuer.pem());
        authority
    }

    /// Issues a certificate for these host names and this user, and writes it to `folder/FILE.crt`, with its key in
    /// `folder/FILE.key`.
    pub(crate) fn issue(&self, file: &str, hosts: &[&str], user: &str) {
        let hosts: Vec<String> = hosts.iter().map(|host| (*host).to_owned()).collect();
        let mut params = CertificateParams::new(hosts).unwrap();
        params.distinguished_name.push(DnType::CommonName, user);
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        self.write(&format!("{file}.crt"), &certificate.pem());
        self.write(&format!("{file}.key"), &key.serialize_pem());
    }

    /// Writes a file that only its owner may read: Postgres refuses a key that others can read.
    fn write(&self, file: &str, text: &str) {
        let path = self.folder.join(file);
        fs::write(&path, text).unwrap();
        fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
    }
}
