defmodule TenantsTest do
  # The server as its clients see it: tenants are added, disabled and removed while it runs.
  use ExUnit.Case

  import Tenants.Client
  import Tenants.TestNode, only: [await: 1]
  alias Tenants.{Database, Events, TestNode}

  setup_all do
    TestNode.start()
  end

  setup do
    :ok = Events.subscribe()
    on_exit(&Events.unsubscribe/0)
  end

  test "a domain is served as soon as it is added", %{port: port} do
    connection = connect(port)
    assert {421, "This host is not served here.\n"} = get_again(connection, "first.example")
    add("first.example", "basic")
    assert {200, "first.example (basic): 0 of 3 notes\n"} = get_again(connection, "first.example")
  end

  test "a host has a port, capitals and a dot at its end, and is the same host", %{port: port} do
    add("spelt.example", "basic")

    for host <- ["Spelt.EXAMPLE", "spelt.example:4000", "spelt.example.", "SPELT.example.:80"] do
      assert {200, "spelt.example (basic)" <> _} = get(port, host)
    end

    odd = ["[::1]:80", "a b", <<0xFF, 0xFE>>, String.duplicate("a", 300)]

    for host <- ["spelt.example:4000:1", "www.spelt.example", "spelt" | odd] do
      assert {421, _} = get(port, host)
    end
  end

  test "a request without a host is refused", %{port: port} do
    for headers <- [[], ["Host:"], ["Host: first.example", "Host: second.example"]] do
      assert {400, _} = port |> connect() |> request("GET /", headers)
    end
  end

  test "a target with a host goes before the header", %{port: port} do
    add("target.example", "basic")

    assert {200, "target.example" <> _} =
             port |> connect() |> request("GET http://target.example/", ["Host: other.example"])

    assert {421, _} = port |> connect() |> request("GET http://other.example/", ["Host: target.example"])
  end

  test "what a tenant may do depends on its host type", %{port: port} do
    add("small.example", "basic")
    add("large.example", "pro")

    for note <- ["one", "two", "three"], host <- ["small.example", "large.example"] do
      assert {201, _} = post(port, host, "/notes", note)
    end

    assert {507, _} = post(port, "small.example", "/notes", "four")
    assert {201, _} = post(port, "large.example", "/notes", "four")
    assert {200, "one\ntwo\nthree\n"} = get(port, "small.example", "/notes")
    assert {200, "large.example (pro): 4 of 1000 notes\n"} = get(port, "large.example")
  end

  test "a disabled tenant is not served, its connections end, and its notes stay", %{port: port} do
    add("pauses.example", "basic")
    assert {201, _} = post(port, "pauses.example", "/notes", "still here")
    connection = connect(port)
    assert {200, _} = get_again(connection, "pauses.example")
    assert {:ok, _} = :mongoose_domain_api.disable_domain("pauses.example")
    assert {421, _} = get(port, "pauses.example")
    assert closed?(connection)
    assert {:ok, _} = :mongoose_domain_api.enable_domain("pauses.example")
    assert {200, "still here\n"} = get(port, "pauses.example", "/notes")
  end

  test "removing a tenant deletes its notes and ends its connections, and no others", %{
    port: port
  } do
    for domain <- ["goes.example", "stays.example"] do
      add(domain, "basic")
      assert {201, _} = post(port, domain, "/notes", "something")
    end

    [goes, stays, left] = for _ <- 1..3, do: connect(port)
    assert {200, _} = get_again(goes, "goes.example")
    assert {200, _} = get_again(stays, "stays.example")
    # This connection is the other tenant's by now.
    assert {200, _} = get_again(left, "goes.example")
    assert {200, _} = get_again(left, "stays.example")

    assert {:ok, %{status: :deleted}} = :mongoose_domain_api.delete_domain("goes.example", "basic")

    assert closed?(goes)
    assert {421, _} = get(port, "goes.example")
    assert {200, "something\n"} = get_again(stays, "stays.example", "/notes")
    assert {200, "something\n"} = get_again(left, "stays.example", "/notes")
    # A new tenant with the same name does not see the old one's notes.
    add("goes.example", "basic")
    assert {200, ""} = get(port, "goes.example", "/notes")
  end

  test "a removal whose handler fails leaves the tenant in removal, until it is requested again",
       %{port: port} do
    add("stuck.example", "basic")
    assert {201, _} = post(port, "stuck.example", "/notes", "something")
    :ok = Supervisor.terminate_child(Tenants.Supervisor, Tenants.Notes)

    assert {:removal_failed, _} = :mongoose_domain_api.delete_domain("stuck.example", "basic")
    assert_receive {:event, :domain_deletion_failed, :error, report}, 30_000
    assert %{domain: "stuck.example", host_type: "basic", handler: Tenants.Notes} = report
    assert {421, _} = get(port, "stuck.example")

    {:ok, _} = Supervisor.restart_child(Tenants.Supervisor, Tenants.Notes)
    assert ["something"] = Tenants.Notes.list("stuck.example")
    assert {:ok, _} = :mongoose_domain_api.delete_domain("stuck.example", "basic")
    assert [] = Tenants.Notes.list("stuck.example")
  end

  test "no note is added to a tenant that is not served" do
    assert {:error, :not_served} = Tenants.Notes.add("never.example", "lost")
    assert [] = Tenants.Notes.list("never.example")
  end

  test "a failure while a request is answered is a 500, and the connection goes on", %{port: port} do
    add("fails.example", "basic")
    connection = connect(port)
    :ok = Supervisor.terminate_child(Tenants.Supervisor, Tenants.Notes)

    log =
      ExUnit.CaptureLog.capture_log(fn ->
        assert {500, _} = get_again(connection, "fails.example")
      end)

    assert log =~ "noproc" or log =~ "no process"
    {:ok, _} = Supervisor.restart_child(Tenants.Supervisor, Tenants.Notes)
    assert {200, _} = get_again(connection, "fails.example")
  end

  test "an observer that crashed ends the connections of tenants that went meanwhile", %{
    port: port
  } do
    add("unseen.example", "basic")
    add("seen.example", "basic")
    [unseen, seen] = for _ <- 1..2, do: connect(port)
    assert {200, _} = get_again(unseen, "unseen.example")
    assert {200, _} = get_again(seen, "seen.example")
    observer = Process.whereis(Tenants.Observer)
    :ok = :sys.suspend(observer)
    assert {:ok, _} = :mongoose_domain_api.delete_domain("unseen.example", "basic")
    Process.exit(observer, :kill)
    assert closed?(unseen)
    assert {200, _} = get_again(seen, "seen.example")
  end

  test "a tenant that gets another plan connects again", %{port: port, database: database} do
    add("grows.example", "basic")
    connection = connect(port)
    assert {200, "grows.example (basic)" <> _} = get_again(connection, "grows.example")

    Database.sql(database, """
    BEGIN; UPDATE domain_settings SET host_type = 'pro' WHERE domain = 'grows.example';
    INSERT INTO domain_events (domain) VALUES ('grows.example'); COMMIT;
    """)

    assert closed?(connection)
    assert {200, "grows.example (pro)" <> _} = get(port, "grows.example")
  end

  test "another program adds a tenant by SQL", %{port: port, database: database} do
    Database.sql(database, """
    BEGIN; INSERT INTO domain_settings (domain, host_type) VALUES ('sql.example', 'pro');
    INSERT INTO domain_events (domain) VALUES ('sql.example'); COMMIT;
    """)

    await(fn -> match?({200, "sql.example (pro)" <> _}, get(port, "sql.example")) end)
  end

  test "a row with a host type that this node does not have is reported", %{
    port: port,
    database: database
  } do
    Database.sql(database, """
    BEGIN; INSERT INTO domain_settings (domain, host_type) VALUES ('odd.example', 'gold');
    INSERT INTO domain_events (domain) VALUES ('odd.example'); COMMIT;
    """)

    assert_receive {:event, :ignore_domain_from_db_with_unknown_host_type, :error, report}, 30_000
    assert %{domain: "odd.example", host_type: "gold"} = report
    assert {421, _} = get(port, "odd.example")
  end

  test "the door adds and removes tenants over HTTP", %{port: port} do
    assert 204 = rest("PUT", "rest.example", ~s({"host_type": "pro"}))
    assert {200, "rest.example (pro)" <> _} = get(port, "rest.example")
    assert 204 = rest("DELETE", "rest.example", ~s({"host_type": "pro"}))
    assert {421, _} = get(port, "rest.example")
  end

  test "requests that cannot be read are refused", %{port: port} do
    add("strict.example", "basic")
    host = "Host: strict.example"
    assert {404, _} = get(port, "strict.example", "/else")
    assert {405, _} = port |> connect() |> request("DELETE /notes", [host])

    assert {411, _} = port |> connect() |> request("POST /notes", [host, "Transfer-Encoding: chunked"])

    assert {413, _} = port |> connect() |> request("POST /notes", [host, "Content-Length: 5000"])

    for lengths <- [["-1"], ["few"], ["1x"], ["1", "2"]] do
      headers = [host | Enum.map(lengths, &"Content-Length: #{&1}")]
      assert {400, _} = port |> connect() |> request("POST /notes", headers)
    end

    many = for number <- 1..65, do: "X-#{number}: x"
    assert {431, _} = port |> connect() |> request("GET /", many)
    assert {400, _} = port |> connect() |> raw("no request", [])
  end

  test "a connection ends when its client wants that", %{port: port} do
    add("polite.example", "basic")
    [asks, old] = for _ <- 1..2, do: connect(port)
    assert {200, _} = request(asks, "GET /", ["Host: polite.example", "Connection: Close"])
    assert closed?(asks)
    assert {200, _} = raw(old, "GET / HTTP/1.0", ["Host: polite.example"])
    assert closed?(old)
  end

  defp add(domain, host_type) do
    assert {:ok, _} = :mongoose_domain_api.insert_domain(domain, host_type)
  end

  defp rest(method, domain, body) do
    {:ok, door} = :mongoose_domain_admin.url()

    headers = [
      "Host: 127.0.0.1",
      "Content-Type: application/json",
      "Content-Length: #{byte_size(body)}"
    ]

    {status, _body} =
      URI.parse(door).port
      |> connect()
      |> request("#{method} /api/domains/#{domain}", headers, body)

    status
  end
end
