// SPDX-License-Identifier: GPL-2.0

//! Rule 5: a page pool gives pages in the poll of its queue, or while that is paused.

use kernel::error::Result;
use knet::net::{Driver, Memory, OpsLocked, PagePool, Pages, Queues, RxBuffer};

pub fn fill<D: Driver>(
    queues: &Queues<D>,
    lock: &mut OpsLocked<'_, D>,
) -> Result<Option<RxBuffer>> {
    queues.with_paused_rx(0, lock, |_, mut pages| pages.alloc(64, Memory::MaySleep))
}

#[cfg(misuse)]
pub fn alloc_anywhere(pool: &mut PagePool) -> Option<RxBuffer> {
    pool.alloc(64, Memory::Atomic) //~ ERROR E0599
}

#[cfg(misuse)]
pub fn keep<D: Driver>(queues: &Queues<D>, lock: &mut OpsLocked<'_, D>) -> Result<Pages<'static>> {
    queues.with_paused_rx(0, lock, |_, pages| pages) //~ ERROR lifetime may not live long enough
}
