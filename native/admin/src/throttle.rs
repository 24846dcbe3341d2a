//! Failed logins make the next attempt from their address wait.
//!
//! The first few failures cost nothing: people mistype. Each one after them makes every further attempt from
//! that address wait a second longer, up to ten, *before* what it says is compared: so whoever guesses in
//! parallel learns no sooner. Only so many wait at a time; one more is refused at once. A success forgives
//! failures of the same name, and a minute without any forgives them all.
//!
//! An address is an IPv4 address or an IPv6 network of 64 bits, since whoever has one address of such a
//! network has them all. Those who sit behind one proxy are one address. What is remembered is bounded: of too
//! many addresses the one that failed longest ago is forgotten.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::Semaphore;
use tokio::time::Instant;

/// Failures that cost nothing; also, how many attempts of an address are compared at the same time.
const FREE: u32 = 5;

/// What each further one adds to the wait.
const STEP: Duration = Duration::from_secs(1);

/// The longest wait.
pub const LONGEST: Duration = Duration::from_secs(10);

/// Attempts of one address that wait at the same time.
const WAITING: usize = 8;

/// How long failures are remembered after the last one.
const MEMORY: Duration = Duration::from_secs(60);

/// Addresses that are remembered.
const ADDRESSES: usize = 10_000;

/// Too many attempts of this address wait already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TooMany;

/// Remembers who failed.
#[derive(Default)]
pub struct Throttle {
    addresses: Mutex<HashMap<IpAddr, Arc<Address>>>,
    /// Names are not kept, only whether two are the same.
    names: RandomState,
}

struct Address {
    /// Attempts that are being compared.
    compared: Semaphore,
    /// Attempts that wait.
    waiting: Semaphore,
    failures: Mutex<Failures>,
}

struct Failures {
    count: u32,
    last: Instant,
    names: Names,
}

/// In whose names attempts failed.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Names {
    One(u64),
    /// Somebody tries them out: that one of them succeeds says little.
    Several,
}

impl Throttle {
    /// Runs the check, after the wait that the address has earned.
    ///
    /// The check answers `Ok(Some(_))` for credentials that are right, `Ok(None)` for wrong ones, and an error
    /// when it could not tell, which counts as neither.
    pub async fn attempt<T, E: From<TooMany>>(
        &self,
        address: IpAddr,
        name: &str,
        check: impl Future<Output = Result<Option<T>, E>>,
    ) -> Result<Option<T>, E> {
        let (address, name) = (network(address), self.names.hash_one(name));
        let known = self.known(address);
        let mut turn = known.compared.acquire().await.map_err(|_| TooMany)?;
        let wait = known.wait();
        if !wait.is_zero() {
            drop(turn);
            let _place = known.waiting.try_acquire().map_err(|_| TooMany)?;
            tokio::time::sleep(wait).await;
            turn = known.compared.acquire().await.map_err(|_| TooMany)?;
        }
        let checked = check.await;
        match &checked {
            Ok(Some(_)) => known.failures.lock().succeeded(name),
            Ok(None) => known.failures.lock().failed(name),
            Err(_) => {}
        }
        drop(turn);
        self.forget(address, &known);
        checked
    }

    fn known(&self, address: IpAddr) -> Arc<Address> {
        let mut addresses = self.addresses.lock();
        if let Some(known) = addresses.get(&address) {
            return known.clone();
        }
        if addresses.len() >= ADDRESSES {
            let oldest = addresses.iter().min_by_key(|(_, known)| known.failures.lock().last);
            if let Some(oldest) = oldest.map(|(address, _)| *address) {
                addresses.remove(&oldest);
            }
        }
        let known = Arc::new(Address::new());
        addresses.insert(address, known.clone());
        known
    }

    /// Keeps no address that failed in nothing, once nobody uses it any more.
    fn forget(&self, address: IpAddr, known: &Arc<Address>) {
        let mut addresses = self.addresses.lock();
        // One is the map's, one the caller's. Under this lock nobody else takes one.
        if Arc::strong_count(known) == 2
            && known.failures.lock().count == 0
            && addresses.get(&address).is_some_and(|kept| Arc::ptr_eq(kept, known))
        {
            addresses.remove(&address);
        }
    }
}

impl Address {
    fn new() -> Address {
        let failures = Failures { count: 0, last: Instant::now(), names: Names::Several };
        let compared = Semaphore::new(FREE as usize);
        Address { compared, waiting: Semaphore::new(WAITING), failures: Mutex::new(failures) }
    }

    fn wait(&self) -> Duration {
        let mut failures = self.failures.lock();
        if failures.last.elapsed() > MEMORY {
            failures.count = 0;
        }
        (STEP * failures.count.saturating_sub(FREE)).min(LONGEST)
    }
}

impl Failures {
    fn succeeded(&mut self, name: u64) {
        if self.names == Names::One(name) {
            self.count = 0;
        }
    }

    fn failed(&mut self, name: u64) {
        self.names = match self.count {
            0 => Names::One(name),
            _ if self.names == Names::One(name) => self.names,
            _ => Names::Several,
        };
        self.count = self.count.saturating_add(1);
        self.last = Instant::now();
    }
}

/// What stands for an address.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).into()
        }
        v4 => v4,
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use futures_util::future::join_all;

    use super::*;

    const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

    async fn says(throttle: &Throttle, from: IpAddr, name: &str, right: bool) -> Result<Option<()>, TooMany> {
        throttle.attempt(from, name, async { Ok(right.then_some(())) }).await
    }

    /// How long so many wrong guesses take, one after the other.
    async fn guess(throttle: &Throttle, from: IpAddr, times: u32) -> Duration {
        let begin = Instant::now();
        for _ in 0..times {
            assert_eq!(says(throttle, from, "admin", false).await, Ok(None));
        }
        begin.elapsed()
    }

    /// Whole seconds: tokio's clock adds a millisecond to a sleep.
    async fn seconds(throttle: &Throttle, from: IpAddr, times: u32) -> u64 {
        guess(throttle, from, times).await.as_secs()
    }

    #[tokio::test(start_paused = true)]
    async fn each_failure_after_five_costs_a_second_more_up_to_ten() {
        let throttle = Throttle::default();
        assert_eq!(seconds(&throttle, HERE, 6).await, 0);
        for wait in 1..=10 {
            assert_eq!(seconds(&throttle, HERE, 1).await, wait);
        }
        assert_eq!(seconds(&throttle, HERE, 1).await, 10);
    }

    #[tokio::test(start_paused = true)]
    async fn guessing_in_parallel_is_no_faster() {
        let throttle = Throttle::default();
        let begin = Instant::now();
        let guesses = join_all((0..1_000).map(|_| says(&throttle, HERE, "admin", false))).await;
        let told = guesses.iter().filter(|guess| guess.is_ok()).count();
        assert!(told <= 2 * FREE as usize + WAITING, "{told} guesses were told from others");
        assert!(begin.elapsed() >= STEP);
        let again = join_all((0..1_000).map(|_| says(&throttle, HERE, "admin", false))).await;
        assert_eq!(again.iter().filter(|guess| guess.is_ok()).count(), WAITING);
    }

    #[tokio::test(start_paused = true)]
    async fn who_is_right_is_never_slowed_however_many_ask_at_once() {
        let throttle = Throttle::default();
        let begin = Instant::now();
        let all = join_all((0..1_000).map(|_| says(&throttle, HERE, "admin", true))).await;
        assert!(all.iter().all(|one| *one == Ok(Some(()))));
        assert_eq!(begin.elapsed(), Duration::ZERO);
        assert!(throttle.addresses.lock().is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn a_success_waits_too_and_then_forgives() {
        let throttle = Throttle::default();
        guess(&throttle, HERE, 7).await;
        let begin = Instant::now();
        assert_eq!(says(&throttle, HERE, "admin", true).await, Ok(Some(())));
        assert_eq!(begin.elapsed().as_secs(), 2);
        assert_eq!(seconds(&throttle, HERE, 6).await, 0);
    }

    #[tokio::test(start_paused = true)]
    async fn who_knows_one_password_cannot_guess_another_for_nothing() {
        let throttle = Throttle::default();
        guess(&throttle, HERE, 5).await;
        says(&throttle, HERE, "admin@own.example", false).await.ok();
        says(&throttle, HERE, "admin@own.example", true).await.ok();
        assert_eq!(seconds(&throttle, HERE, 1).await, 1);
    }

    #[tokio::test(start_paused = true)]
    async fn a_minute_without_a_failure_forgives_all() {
        let throttle = Throttle::default();
        guess(&throttle, HERE, 8).await;
        tokio::time::advance(MEMORY + STEP).await;
        assert_eq!(seconds(&throttle, HERE, 6).await, 0);
        assert_eq!(seconds(&throttle, HERE, 1).await, 1);
    }

    #[tokio::test(start_paused = true)]
    async fn a_check_that_cannot_tell_counts_as_nothing() {
        let throttle = Throttle::default();
        for _ in 0..20 {
            let told: Result<Option<()>, TooMany> = throttle.attempt(HERE, "admin", async { Err(TooMany) }).await;
            assert_eq!(told, Err(TooMany));
        }
        assert_eq!(seconds(&throttle, HERE, 6).await, 0);
    }

    #[tokio::test(start_paused = true)]
    async fn a_network_of_64_bits_is_one_address_and_another_address_another() {
        let throttle = Throttle::default();
        let address = |text: &str| text.parse::<IpAddr>().expect("the addresses below are written right");
        guess(&throttle, address("2001:db8::1"), 6).await;
        assert_eq!(seconds(&throttle, address("2001:db8::ffff:2"), 1).await, 1);
        assert_eq!(seconds(&throttle, address("2001:db8:0:1::1"), 1).await, 0);
        guess(&throttle, address("192.0.2.1"), 6).await;
        assert_eq!(seconds(&throttle, address("::ffff:192.0.2.1"), 1).await, 1);
        assert_eq!(seconds(&throttle, address("192.0.2.2"), 1).await, 0);
    }

    #[tokio::test(start_paused = true)]
    async fn of_too_many_addresses_the_oldest_is_forgotten() {
        let throttle = Throttle::default();
        guess(&throttle, HERE, 6).await;
        tokio::time::advance(Duration::from_millis(1)).await;
        for number in 0..ADDRESSES as u32 {
            guess(&throttle, Ipv4Addr::from(0x0a00_0000 + number).into(), 1).await;
        }
        assert_eq!(throttle.addresses.lock().len(), ADDRESSES);
        assert_eq!(seconds(&throttle, HERE, 1).await, 0);
    }
}
