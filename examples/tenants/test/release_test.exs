defmodule Tenants.ReleaseTest do
  # The release as its operators see it: it takes its configuration from the environment, and keeps its tenants.
  use ExUnit.Case

  import Tenants.Client
  alias Tenants.{Database, Release}

  @moduletag :release

  setup do
    directory = Path.join(System.tmp_dir!(), "tenants_release_#{System.pid()}")
    File.mkdir_p!(directory)
    database = Database.create(directory)

    on_exit(fn ->
      :ok = Database.drop(database)
      File.rm_rf!(directory)
    end)

    environment = %{
      "DATABASE_URL" => database,
      "DATA_DIR" => directory,
      "HOST_TYPES" => "free=1,paid=10",
      "PORT" => "0",
      "ADMIN_PORT" => "0"
    }

    %{environment: environment}
  end

  test "it boots, answers, and has its tenants and their notes after a restart", %{environment: environment} do
    {release, port, door} = start(environment, ~r/(load_data_from_base)/)
    assert {"added kept.example\n", 0} = domainctl(door, ["add", "kept.example", "free"])
    assert {201, _} = post(port, "kept.example", "/notes", "here")
    assert {507, _} = post(port, "kept.example", "/notes", "too many")
    assert {_, 0} = domainctl(door, ["add", "gone.example", "paid"])
    assert {200, "gone.example (paid): 0 of 10 notes\n"} = get(port, "gone.example")
    assert {_, 0} = domainctl(door, ["remove", "gone.example", "paid"])
    assert {421, _} = get(port, "gone.example")
    stops_in_order(release)

    {release, port, _door} = start(environment, ~r/(domain_snapshot_loaded)/)
    Tenants.TestNode.await(fn -> get(port, "kept.example", "/notes") == {200, "here\n"} end)
    assert {421, _} = get(port, "gone.example")
    stops_in_order(release)
  end

  test "without a database it does not start, and says what is missing", %{environment: environment} do
    {status, output} = environment |> Map.put("DATABASE_URL", "") |> Release.start() |> Release.await_end()
    assert status != 0
    assert output =~ "DATABASE_URL"
  end

  # The events of mongoose_domain are among what Logger prints.
  defp start(environment, event) do
    release = Release.start(environment)
    {_event, release} = Release.await(release, event)
    {door, release} = Release.await(release, ~r"domain_admin_listening\s+url: \"(http://127\.0\.0\.1:\d+)\""s)
    {port, release} = Release.await(release, ~r"tenants listens at http://127\.0\.0\.1:(\d+)")
    {release, String.to_integer(port), door}
  end

  defp stops_in_order(release) do
    {status, output} = Release.stop(release)
    assert status == 0
    refute output =~ ~r/error|crash|warning/i
  end

  defp domainctl(door, arguments), do: System.cmd(Release.domainctl(), ["--url", door | arguments])
end
