"""An inventory script, half modernised: one call with a token, two without."""
import urllib.request

BASE = "http://169.254.169.254/latest/"
opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def ask(path, method="GET", **headers):
    headers = {name.replace("_", "-"): value for name, value in headers.items()}
    request = urllib.request.Request(BASE + path, headers=headers, method=method)
    return opener.open(request, timeout=10).read().decode()


token = ask("api/token", "PUT", X_aws_ec2_metadata_token_ttl_seconds="60", X_Case="inventory.py/1")
ask("dynamic/instance-identity/document", X_aws_ec2_metadata_token=token, X_Case="inventory.py/2")
ask("meta-data/placement/region", X_Case="inventory.py/3")
ask("meta-data/tags/instance/", X_Case="inventory.py/4")
