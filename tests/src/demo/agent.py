"""An agent that keeps its connection and always uses a token."""
import http.client
import time

connection = http.client.HTTPConnection("169.254.169.254", timeout=10)


def ask(path, number, method="GET", **headers):
    headers = {name.replace("_", "-"): value for name, value in headers.items()}
    headers["X-Case"] = "agent.py/%d" % number
    connection.request(method, "/latest/" + path, headers=headers)
    return connection.getresponse().read().decode()


token = ask("api/token", 1, "PUT", X_aws_ec2_metadata_token_ttl_seconds="60")
for number in range(2, 6):
    ask("meta-data/spot/instance-action", number, X_aws_ec2_metadata_token=token)
    time.sleep(0.2)
