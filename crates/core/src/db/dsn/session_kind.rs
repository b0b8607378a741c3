//! `target_session_attrs`: which of several servers is used, by what its session allows.

/// The kinds of sessions that a DSN can require. The names are those of libpq.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SessionKind {
    /// Any session.
    Any,
    /// A session that can write.
    ReadWrite,
    /// A session that can only read.
    ReadOnly,
    /// A session of a server that is not a standby.
    Primary,
    /// A session of a standby.
    Standby,
    /// A session of a standby if there is one, otherwise any session.
    PreferStandby,
}

impl SessionKind {
    /// Parses the value of `target_session_attrs`. Without a value any session suits.
    pub(super) fn parse(text: Option<&str>) -> Result<SessionKind, String> {
        Ok(match text {
            None | Some("any") => SessionKind::Any,
            Some("read-write") => SessionKind::ReadWrite,
            Some("read-only") => SessionKind::ReadOnly,
            Some("primary") => SessionKind::Primary,
            Some("standby") => SessionKind::Standby,
            Some("prefer-standby") => SessionKind::PreferStandby,
            Some(other) => {
                return Err(format!(
                    "`target_session_attrs={other}` is not valid: write `any`, `read-write`, `read-only`, `primary`, \
                     `standby` or `prefer-standby`"
                ));
            }
        })
    }

    /// Returns the kinds for which all servers are tried, one kind after the other.
    pub(crate) fn attempts(self) -> &'static [SessionKind] {
        match self {
            SessionKind::Any => &[SessionKind::Any],
            SessionKind::ReadWrite => &[SessionKind::ReadWrite],
            SessionKind::ReadOnly => &[SessionKind::ReadOnly],
            SessionKind::Primary => &[SessionKind::Primary],
            SessionKind::Standby => &[SessionKind::Standby],
            SessionKind::PreferStandby => &[SessionKind::Standby, SessionKind::Any],
        }
    }

    /// Returns why a session is not of this kind. `None` if it is.
    pub(crate) fn objection(self, is_standby: bool, is_read_only: bool) -> Option<&'static str> {
        match self {
            SessionKind::ReadWrite | SessionKind::Primary if is_standby => {
                Some("the server is a standby, which allows only reads")
            }
            SessionKind::ReadWrite if is_read_only => Some("the session allows only reads"),
            SessionKind::ReadOnly if !is_read_only => Some("the session allows writes"),
            SessionKind::Standby if !is_standby => Some("the server is not a standby"),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_value_accepts_the_sessions_that_libpq_accepts() {
        // In this order: a standby, a read-only session of a primary, and a session that can write.
        for (text, accepted) in [
            ("any", [true, true, true]),
            ("read-write", [false, false, true]),
            ("read-only", [true, true, false]),
            ("primary", [false, true, true]),
            ("standby", [true, false, false]),
            ("prefer-standby", [true, true, true]),
        ] {
            let kind = SessionKind::parse(Some(text)).unwrap();
            let sessions = [(true, true), (false, true), (false, false)];
            let accepts = sessions.map(|(is_standby, is_read_only)| {
                let attempts = kind.attempts().iter();
                attempts.clone().any(|kind| kind.objection(is_standby, is_read_only).is_none())
            });
            assert_eq!(accepts, accepted, "{text}");
        }
        assert_eq!(SessionKind::PreferStandby.attempts()[0], SessionKind::Standby);
        assert!(SessionKind::parse(Some("master")).is_err());
    }
}
