//! What a role may do: super users everything, others what is granted to them table by table
//! (`spec/harper-resources.md` section 11).

use indexmap::IndexMap;

use super::Attributes;

/// The permissions of a role. What is not granted is refused.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Permission {
    /// May do everything; nothing else is looked at then.
    pub super_user: bool,
    pub structure_user: StructureUser,
    /// By database, then by table.
    pub databases: IndexMap<String, IndexMap<String, TablePermission>>,
}

/// Where a role may make and drop tables.
#[derive(Debug, Clone, PartialEq, Default)]
pub enum StructureUser {
    #[default]
    Nowhere,
    Everywhere,
    /// In these databases.
    In(Vec<String>),
}

/// What is done to records. `Insert` is a write that makes a record, `Update` one that changes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Access {
    Read,
    Insert,
    Update,
    Delete,
}

impl Access {
    pub const ALL: [Access; 4] = [Access::Read, Access::Insert, Access::Update, Access::Delete];

    /// The name that it has in a permission object.
    pub fn name(self) -> &'static str {
        match self {
            Access::Read => "read",
            Access::Insert => "insert",
            Access::Update => "update",
            Access::Delete => "delete",
        }
    }
}

/// A set of accesses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct AccessSet(u8);

impl AccessSet {
    pub const ALL: AccessSet = AccessSet(0b1111);

    pub const fn with(self, access: Access) -> AccessSet {
        AccessSet(self.0 | 1 << access as u8)
    }

    pub const fn contains(self, access: Access) -> bool {
        self.0 & (1 << access as u8) != 0
    }
}

impl FromIterator<Access> for AccessSet {
    fn from_iter<I: IntoIterator<Item = Access>>(accesses: I) -> AccessSet {
        accesses.into_iter().fold(AccessSet::default(), AccessSet::with)
    }
}

/// What is granted on one table.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct TablePermission {
    pub access: AccessSet,
    /// If there are any, only the attributes named here can be read or written, each as it says.
    pub attributes: Vec<AttributePermission>,
}

/// What is granted on one attribute; records are deleted whole, so `Delete` means nothing here.
#[derive(Debug, Clone, PartialEq)]
pub struct AttributePermission {
    pub name: String,
    pub access: AccessSet,
}

/// What somebody may do with one table.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum TableRights<'p> {
    /// Everything: a super user.
    All,
    Granted(&'p TablePermission),
    Nothing,
}

impl Permission {
    /// What this allows on one table.
    pub fn table(&self, database: &str, table: &str) -> TableRights<'_> {
        if self.super_user {
            return TableRights::All;
        }
        match self.databases.get(database).and_then(|tables| tables.get(table)) {
            Some(granted) => TableRights::Granted(granted),
            None => TableRights::Nothing,
        }
    }

    /// Whether this allows `access` to records of the table at all; some of their attributes may
    /// still be withheld.
    pub fn may(&self, access: Access, database: &str, table: &str) -> bool {
        self.table(database, table).may(access)
    }
}

impl TableRights<'_> {
    pub fn may(self, access: Access) -> bool {
        match self {
            TableRights::All => true,
            TableRights::Granted(granted) => granted.access.contains(access),
            TableRights::Nothing => false,
        }
    }

    /// The attributes that an access covers.
    pub fn attributes(self, access: Access) -> Attributes {
        match self {
            TableRights::All => Attributes::All,
            TableRights::Granted(granted) if granted.attributes.is_empty() => Attributes::All,
            TableRights::Granted(granted) => {
                let covered = |attribute: &&AttributePermission| attribute.access.contains(access);
                let names = granted.attributes.iter().filter(covered);
                Attributes::Only(names.map(|attribute| attribute.name.clone()).collect())
            }
            TableRights::Nothing => Attributes::Only([].into()),
        }
    }
}
