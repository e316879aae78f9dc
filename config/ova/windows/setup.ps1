# Runs from the floppy at the first logon: VMware's tools from a CD drive, then WinRM for Packer and Ansible.
$ErrorActionPreference = 'Stop'

# vCenter learns the machine's address from the tools. Local builds have no such CD and get them later.
foreach ($drive in Get-PSDrive -PSProvider FileSystem) {
    $setup = Join-Path $drive.Root 'setup64.exe'
    if ((Test-Path $setup) -and (Test-Path (Join-Path $drive.Root 'manifest.txt'))) {
        Start-Process -Wait $setup -ArgumentList '/S', '/v"/qn REBOOT=R"'
        break
    }
}

# WinRM refuses to be set up on a network that counts as public.
Get-NetConnectionProfile | Set-NetConnectionProfile -NetworkCategory Private
Enable-PSRemoting -Force -SkipNetworkProfileCheck
winrm set winrm/config '@{MaxTimeoutms="7200000"}'
winrm set winrm/config/winrs '@{MaxMemoryPerShellMB="2048"}'
winrm set winrm/config/service '@{AllowUnencrypted="true"}'
winrm set winrm/config/service/auth '@{Basic="true"}'
netsh advfirewall firewall add rule name="WinRM for the build" dir=in action=allow protocol=TCP localport=5985
Set-Service WinRM -StartupType Automatic
Restart-Service WinRM
