defmodule Tenants.RemovalTest do
  # A removal that is requested while this server is not there: by the door, which opens before, or by another node.
  use ExUnit.Case

  alias Tenants.{Notes, TestNode}

  test "a removal waits until the notes can be deleted" do
    TestNode.configure()
    TestNode.start_application(:tenants)
    assert {:ok, _} = :mongoose_domain_api.insert_domain("early.example", "basic")
    assert :ok = Notes.add("early.example", "something")
    TestNode.stop_applications()

    TestNode.start_application(:mongoose_domain)
    assert {:ok, %{status: :deleting}} = :mongoose_domain_api.request_delete_domain("early.example", "basic")
    assert {:ok, %{state: :running}} = :mongoose_domain_api.removal_status("early.example")
    assert {:error, :not_found} = :mongoose_domain_api.get_host_type("early.example")

    TestNode.start_application(:tenants)
    TestNode.await(fn -> match?({:not_found, _}, :mongoose_domain_api.removal_status("early.example")) end)
    assert [] = Notes.list("early.example")
  end
end
