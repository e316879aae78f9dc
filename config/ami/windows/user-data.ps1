<powershell>
# Runs when the build instance first starts: WinRM over TLS, with a certificate of its own, for Packer and Ansible.
$ErrorActionPreference = 'Stop'

$name = [System.Net.Dns]::GetHostName()
$certificate = New-SelfSignedCertificate -DnsName $name -CertStoreLocation Cert:\LocalMachine\My
Enable-PSRemoting -Force -SkipNetworkProfileCheck
Get-ChildItem WSMan:\localhost\Listener | Where-Object { $_.Keys -contains 'Transport=HTTPS' } | Remove-Item -Recurse
New-Item WSMan:\localhost\Listener -Transport HTTPS -Address * -CertificateThumbPrint $certificate.Thumbprint -Force
Set-Item WSMan:\localhost\Service\Auth\Basic $true
Set-Item WSMan:\localhost\MaxTimeoutms 7200000
Set-Item WSMan:\localhost\Shell\MaxMemoryPerShellMB 2048
New-NetFirewallRule -DisplayName 'WinRM for the build' -Direction Inbound -Protocol TCP -LocalPort 5986 -Action Allow
Set-Service WinRM -StartupType Automatic
Restart-Service WinRM
</powershell>
