//! Changes that are committed together, apart from those of the call.

use std::cell::RefCell;
use std::rc::Rc;

use crate::{Error, Result, host};

/// A transaction of the guest's own. Dropped without [`commit`](Transaction::commit) it changes nothing.
///
/// ```no_run
/// # use kora_guest::{Result, Table, Transaction};
/// # #[derive(serde::Serialize, serde::Deserialize)] struct Account { id: String, balance: i64 }
/// # async fn pay() -> Result<()> {
/// let transaction = Transaction::begin();
/// let accounts = Table::<Account>::find("Account")?.within(&transaction);
/// accounts.add_to("a", "balance", -5).await?;
/// accounts.add_to("b", "balance", 5).await?;
/// transaction.commit().await
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Transaction(Rc<RefCell<Option<host::Transaction>>>);

impl Transaction {
    pub fn begin() -> Transaction {
        Transaction(Rc::new(RefCell::new(Some(host::Transaction::begin()))))
    }

    /// 409 if something that it read has changed: begin again.
    pub async fn commit(self) -> Result<()> {
        let transaction = self.take()?;
        transaction.commit().await
    }

    /// Takes the host's transaction out while one operation uses it: it must not be borrowed across a wait.
    pub(crate) fn take(&self) -> Result<host::Transaction> {
        self.0.borrow_mut().take().ok_or_else(|| {
            Error::internal("the transaction has ended, or another operation of it is under way")
        })
    }

    pub(crate) fn give_back(&self, transaction: host::Transaction) {
        *self.0.borrow_mut() = Some(transaction);
    }
}
