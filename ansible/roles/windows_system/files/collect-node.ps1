# Collects what is known of this node into one folder: services, networks, logs.
param([string]$Target = "C:\debug\$(Get-Date -Format yyyyMMdd-HHmmss)")

New-Item -ItemType Directory -Path $Target -Force | Out-Null
Get-ComputerInfo | Out-File "$Target\computer.txt"
Get-Service | Sort-Object Status, Name | Format-Table -AutoSize | Out-File "$Target\services.txt"
Get-Process | Sort-Object WS -Descending | Out-File "$Target\processes.txt"
ipconfig.exe /all | Out-File "$Target\ipconfig.txt"
route.exe print | Out-File "$Target\routes.txt"
Get-NetTCPConnection -State Listen | Out-File "$Target\listening.txt"
if (Get-Command Get-HnsNetwork -ErrorAction SilentlyContinue) {
    Get-HnsNetwork | ConvertTo-Json -Depth 20 | Out-File "$Target\hns-networks.json"
    Get-HnsEndpoint | ConvertTo-Json -Depth 20 | Out-File "$Target\hns-endpoints.json"
    Get-HnsPolicyList | ConvertTo-Json -Depth 20 | Out-File "$Target\hns-policies.json"
}
foreach ($log in 'System', 'Application') {
    Get-EventLog -LogName $log -Newest 500 | Format-Table -Wrap | Out-File "$Target\events-$log.txt"
}
Copy-Item -Path C:\var\log -Destination "$Target\var-log" -Recurse -ErrorAction SilentlyContinue
Write-Output $Target
