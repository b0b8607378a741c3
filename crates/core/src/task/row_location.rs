//! Where a version of a row lies in its table, as Postgres' `tid` says it: a hint that is true until the row
//! is written again.

use std::error::Error;

use bytes::BytesMut;
use tokio_postgres::types::{FromSql, IsNull, ToSql, Type, accepts, to_sql_checked};

/// A block and an item in it, as they travel.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Ctid([u8; 6]);

impl<'a> FromSql<'a> for Ctid {
    fn from_sql(_: &Type, raw: &'a [u8]) -> Result<Ctid, Box<dyn Error + Sync + Send>> {
        Ok(Ctid(raw.try_into()?))
    }

    accepts!(TID);
}

impl ToSql for Ctid {
    fn to_sql(&self, _: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
        out.extend_from_slice(&self.0);
        Ok(IsNull::No)
    }

    accepts!(TID);
    to_sql_checked!();
}
