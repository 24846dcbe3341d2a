//! Requests while the database hangs, is gone, or does not exist.

use super::*;

#[test]
fn a_full_queue_refuses_at_once() {
    let mut fixture = Fixture::postgres();
    let workers = fixture.workers(1, 2);
    ask(&workers, Request::Details(name("a.example")));
    let lock = fixture.lock();
    let details = || Request::Details(name("a.example"));
    let mut answers = vec![submit(&workers, details(), LONG).unwrap()];
    fixture.hang(1);
    answers.extend((0..2).map(|_| submit(&workers, details(), LONG).unwrap()));
    let began = Instant::now();
    for _ in 0..10 {
        assert!(matches!(submit(&workers, details(), LONG), Err(Overloaded)));
    }
    // The lock is still held.
    assert!(began.elapsed() < LONG / 3);
    assert!(answers.iter().all(|answer| answer.try_recv().is_err()));
    drop(lock);
    for answer in answers {
        assert_eq!(heard(&answer).unwrap(), Response::Details(None));
    }
}

#[test]
fn a_request_whose_time_is_over_before_its_turn_is_answered_too_late() {
    let fixture = Fixture::postgres();
    let workers = fixture.workers(1, 10);
    ask(&workers, Request::Details(name("a.example")));
    let lock = fixture.lock();
    let insert = |domain| Request::Insert(vec![fixture.pair(domain)]);
    let (first, second) = (insert("a.example"), insert("b.example"));
    let first = submit(&workers, first, Duration::from_millis(500)).unwrap();
    let second = submit(&workers, second, Duration::from_millis(100)).unwrap();
    let failure = heard(&first).unwrap_err();
    assert!(matches!(failure, OperationError::Database(StoreError::Timeout { .. })), "{failure:?}");
    assert_eq!(failure.kind(), FailureKind::Timeout);
    let failure = heard(&second).unwrap_err();
    assert!(matches!(failure, OperationError::Expired), "{failure:?}");
    drop(lock);
    // The worker takes another connection.
    assert_eq!(ask(&workers, Request::Details(name("b.example"))), Response::Details(None));
}

#[test]
fn after_the_server_closed_the_connections_the_next_requests_succeed() {
    let mut fixture = Fixture::postgres();
    let workers = fixture.workers(2, 10);
    let details = || Request::Details(name("a.example"));
    ask(&workers, details());
    // Both workers at the same time, so that there are two connections.
    let lock = fixture.lock();
    let answers = [(); 2].map(|()| submit(&workers, details(), LONG).unwrap());
    fixture.hang(2);
    drop(lock);
    for answer in answers {
        heard(&answer).unwrap();
    }
    let ports = "SELECT client_port, pg_terminate_backend(pid) FROM pg_stat_activity
                  WHERE datname = current_database() AND application_name = 'mongoose_domain'";
    let ports: Vec<i32> = fixture.client().query(ports, &[]).unwrap().iter().map(|row| row.get(0)).collect();
    assert_eq!(ports.len(), 2);
    eventually(|| fixture.connections("true") == 0 && ports.iter().all(|&port| is_closed(port)));
    for _ in 0..4 {
        assert_eq!(try_ask(&workers, details(), LONG).unwrap(), Response::Details(None));
    }
}

/// Whether the peer has closed the connection from `port`, as far as the system tells.
fn is_closed(port: i32) -> bool {
    let connections = ["tcp", "tcp6"].map(|kind| std::fs::read_to_string(format!("/proc/net/{kind}")));
    let connections = connections.into_iter().flatten().collect::<String>();
    let from = format!(":{port:04X}");
    !connections.lines().any(|line| {
        let fields: Vec<_> = line.split_whitespace().collect();
        matches!(fields[..], [_, local, _, "01", ..] if local.ends_with(&from))
    })
}

#[test]
fn without_a_server_the_answer_is_unavailable_when_the_time_is_over() {
    // The port of a listener that was closed.
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let url = format!("postgres://someone:topsecret@127.0.0.1:{port}/nowhere");
    let workers = start(&url, &table(), 2, 10);
    let (began, limit) = (Instant::now(), Duration::from_millis(500));
    let failure = try_ask(&workers, Request::Details(name("a.example")), limit).unwrap_err();
    // The time of the failure does not depend on the database.
    assert!(began.elapsed() < limit + Duration::from_secs(2), "{:?}", began.elapsed());
    assert!(matches!(failure, OperationError::Unavailable(_)), "{failure:?}");
    assert_eq!(failure.kind(), FailureKind::NotMade);
    let text = failure.to_string();
    assert!(text.contains(&format!("127.0.0.1:{port}")), "{text}");
    assert!(!text.contains("topsecret"), "{text}");
}

#[test]
fn when_the_database_is_back_the_next_request_succeeds() {
    let url = new_url();
    let workers = start(&url, &table(), 1, 10);
    // No database yet, until the pauses between attempts to connect have become long.
    let failure = try_ask(&workers, Request::Details(name("a.example")), Duration::from_secs(3)).unwrap_err();
    assert!(matches!(failure, OperationError::Unavailable(_)), "{failure:?}");
    create(&url);
    let answer = try_ask(&workers, Request::Details(name("a.example")), Duration::from_secs(2));
    drop_database(&url);
    assert_eq!(answer.unwrap(), Response::Details(None));
}

#[test]
fn a_stop_breaks_off_requests_that_hang_in_the_database() {
    let mut fixture = Fixture::postgres();
    let workers = fixture.workers(2, 10);
    ask(&workers, Request::Details(name("a.example")));
    let lock = fixture.lock();
    let hour = Duration::from_secs(3600);
    // Not additions, which would travel together.
    let requests: Vec<_> = (0..5).map(|n| Request::Details(name(&format!("d{n}.example")))).collect();
    let answers: Vec<_> = requests.into_iter().map(|request| submit(&workers, request, hour).unwrap()).collect();
    fixture.hang(2);
    let began = Instant::now();
    workers.stop();
    for (place, answer) in answers.iter().enumerate() {
        let failure = heard(answer).unwrap_err();
        match place {
            0 | 1 => assert!(matches!(failure, OperationError::Database(StoreError::Stopped)), "{failure:?}"),
            _ => assert!(matches!(failure, OperationError::Unavailable(_)), "{failure:?}"),
        }
    }
    drop(workers);
    threads_end(&fixture);
    assert!(began.elapsed() < LONG / 3);
    // All connections are closed. The server's processes wait for the lock until they notice that.
    drop(lock);
    eventually(|| fixture.connections("true") == 0);
}

#[test]
fn a_stop_breaks_off_requests_that_wait_for_a_connection() {
    let url = new_url();
    let table = table();
    let workers = start(&url, &table, 2, 10);
    // The database does not exist, and both workers have a request.
    let details = || Request::Details(name("a.example"));
    let answers = [(); 4].map(|()| submit(&workers, details(), 3 * LONG).unwrap());
    assert!(matches!(answers[0].recv_timeout(Duration::from_millis(100)), Err(RecvTimeoutError::Timeout)));
    workers.stop();
    for answer in &answers {
        let failure = answer.recv_timeout(Duration::from_secs(5)).expect("an answer soon after the stop").unwrap_err();
        let stopped = matches!(failure, OperationError::Unavailable(_) | OperationError::Database(StoreError::Stopped));
        assert!(stopped, "{failure:?}");
    }
    drop(workers);
    eventually(|| Arc::strong_count(&table) == 1);
}

#[test]
fn a_worker_whose_reply_takes_its_time_keeps_no_other_from_working() {
    let fixture = Fixture::sqlite();
    let workers = fixture.workers(2, 10);
    let (release, wait) = channel::<()>();
    let slow = Box::new(move |_: Result<Completed, OperationError>| wait.recv().unwrap());
    workers.submit(Request::Details(name("a.example")), LONG, Box::new(|| true), slow).unwrap();
    for _ in 0..4 {
        assert_eq!(ask(&workers, Request::Details(name("a.example"))), Response::Details(None));
    }
    release.send(()).unwrap();
}
